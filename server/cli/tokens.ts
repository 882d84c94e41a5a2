// `quayside tokens …`: every management token in custody, where a person rotates it, and a look at one right now. A rotation takes a
// grant, and a grant takes a person: no command line can give one.
import type { Command } from 'commander'
import type { CustodyLine, TokenLook } from '../http/contract/operator.ts'
import { AppError } from '../errors.ts'
import { askServer, print } from './server.ts'
import { plain, relative } from './table.ts'

export function tokenCommands(program: Command): void {
  const tokens = program.command('tokens').description('the management tokens in custody')

  tokens
    .command('list', { isDefault: true })
    .description('list each stack with the state of its token')
    .option('--json', 'one JSON array')
    .action(async ({ json }: { json?: true }) => {
      const lines = await askServer<CustodyLine[]>('GET', '/tokens')
      print(json === true, lines, lines.map(rowOf))
    })

  tokens
    .command('rotate <installation>')
    .description('print the links where an Owner or Admin of the stack rotates its token')
    .option('--json', 'one JSON object')
    .action(async (installation: string, { json }: { json?: true }) => {
      const line = await askServer<CustodyLine>('GET', `/tokens/${encodeURIComponent(installation)}`)
      if (line.status !== 'active' || line.links.length === 0) {
        throw new AppError('conflict', `${plain(line.stackName)} has no token to rotate: its installation is ${line.status}.`, {
          remedy: line.status === 'uninstalled' ? 'Install the app in the stack again.' : 'Open the app in Contentstack once.'
        })
      }
      if (json === true) return print(true, line, [])
      const links = line.links.map(({ title, url }) => `  ${title}: ${url}`)
      const words = `Rotating the token of ${plain(line.stackName)} takes the grant of an Owner or Admin of the stack, in a browser. Open one of these:`
      process.stdout.write(`${words}\n${links.join('\n')}\n`)
    })

  tokens
    .command('check <installation>')
    .description('ask Contentstack right now whether it accepts the token; exit 1 when it does not')
    .option('--json', 'one JSON object')
    .action(async (installation: string, { json }: { json?: true }) => {
      const look = await askServer<TokenLook>('POST', `/tokens/${encodeURIComponent(installation)}/check`)
      if (look.outcome !== 'accepted') process.exitCode = 1
      if (json === true) return print(true, look, [])
      process.stdout.write(`${wordsOf(look)}\n`)
    })
}

function rowOf({ installationId, stackName, organizationName, region, status, token, orphans }: CustodyLine): Record<string, unknown> {
  return {
    installation: installationId,
    stack: stackName,
    organization: organizationName,
    region,
    token: status === 'active' ? (token?.status ?? 'none') : status,
    ends: token?.expiresAt == null ? (token ? 'never' : '') : relative(token.expiresAt),
    checked: relative(token?.checkedAt ?? null),
    exposed: token?.exposed === true ? 'yes' : '',
    orphans: orphans.length
  }
}

function wordsOf({ outcome, line: { stackName, token, links } }: TokenLook): string {
  const stack = plain(stackName)
  const connect = links.map(({ title, url }) => `  ${title}: ${url}`).join('\n')
  if (outcome === 'none')
    return `${stack} has no current token${token?.status === 'dead' ? ': the last one is dead' : ''}. An Owner or Admin of the stack connects one:\n${connect}`
  if (outcome === 'dead')
    return `Contentstack refuses the token of ${stack}: its work waits. An Owner or Admin of the stack connects a new one:\n${connect}`
  const ends = token?.expiresAt == null ? 'it never ends' : `it ends ${relative(token.expiresAt)}`
  return `Contentstack accepts the token of ${stack} (${token?.status ?? 'current'}); ${ends}`
}
