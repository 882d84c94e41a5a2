// `quayside installations`: what is installed where, and whether its token is well.
import type { Command } from 'commander'
import type { Installation } from '../http/contract/stack.ts'
import { askServer, print } from './server.ts'

export function installationCommands(program: Command): void {
  program
    .command('installations')
    .description('list the installations that this server serves')
    .option('--json', 'one JSON array')
    .action(async ({ json }: { json?: true }) => {
      const installations = await askServer<Installation[]>('GET', '/installations')
      const rows = installations.map(({ id, region, organizationName, stackName, status, token, hold }) => ({
        id,
        region,
        organization: organizationName,
        stack: stackName,
        status,
        token: token?.status ?? 'none',
        hold: hold?.reason ?? ''
      }))
      print(json === true, installations, rows)
    })
}
