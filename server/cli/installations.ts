// `quayside installations`: what is installed where, and whether its token is well.
import type { CAC } from 'cac'
import type { Installation } from '../http/contract/stack.ts'
import { askServer, print } from './server.ts'

export function installationCommands(cli: CAC): void {
  cli
    .command('installations', 'List the installations that this server serves')
    .option('--json', 'One JSON array')
    .action(async (options: { json?: boolean }) => {
      const installations = await askServer<Installation[]>('GET', '/installations')
      print(
        options.json === true,
        installations,
        installations.map(({ id, region, organizationName, stackName, status, token, hold }) => ({
          id,
          region,
          organization: organizationName,
          stack: stackName,
          status,
          token: token?.status ?? 'none',
          hold: hold?.reason ?? ''
        }))
      )
    })
}
