// `quayside access-keys …`: credentials for scripts, as in the console. A key is printed once, alone on stdout, so that it can be
// piped to where it belongs without passing a screen.
import type { Command } from 'commander'
import { AppError } from '../errors.ts'
import type { AccessKey, CreatedKey, NewKey } from '../http/contract/stack.ts'
import { askServer, print } from './server.ts'

type Scope = NewKey['scopes'][number]

export function accessKeyCommands(program: Command): void {
  const keys = program.command('access-keys').description('credentials for scripts')

  keys
    .command('list')
    .description('list access keys')
    .option('--json', 'one JSON array')
    .action(async ({ json }: { json?: true }) => {
      const found = await askServer<AccessKey[]>('GET', '/keys')
      const rows = found.map(({ id, name, stackName, fingerprint, owner, status }) => ({
        id,
        name,
        stack: stackName,
        key: fingerprint,
        owner,
        status
      }))
      print(json === true, found, rows)
    })

  keys
    .command('create <installation> <name>')
    .description('make an access key and print it once')
    .option('--scope <scope...>', 'module:actions[@types], such as entries:read,write@blog_post')
    .option('--days <days>', 'days until it expires', '90')
    .option('--json', 'one JSON object')
    .action(async (installation: string, name: string, { scope = [], days, json }: { scope?: string[]; days: string; json?: true }) => {
      const key: NewKey = { name, scopes: scope.map(readScope), expiresInDays: Number(days) }
      const created = await askServer<CreatedKey>('POST', `/installations/${encodeURIComponent(installation)}/keys`, key)
      if (json === true) return print(true, created, [])
      const { accessKey, gatewayUrl } = created
      process.stderr.write(`${accessKey.id} for ${accessKey.stackName}; the gateway is ${gatewayUrl}. The key is shown this once:\n`)
      process.stdout.write(`${created.key}\n`)
    })

  keys
    .command('revoke <id>')
    .description('revoke an access key at once')
    .action(async (id: string) => {
      const revoked = await askServer<AccessKey>('DELETE', `/keys/${encodeURIComponent(id)}`)
      process.stdout.write(`${revoked.id} (${revoked.name}) is ${revoked.status}\n`)
    })
}

/** 'entries:read,write@blog_post,page' */
function readScope(text: string): Scope {
  const [, module, actions, types] = /^([a-z_]+):([a-z,]+)(?:@([\w,]+))?$/.exec(text) ?? []
  if (!module || !actions)
    throw new AppError('invalid', `"${text}" is not a scope.`, {
      remedy: 'Write module:actions[@types], for example entries:read,write@blog_post.'
    })
  return {
    module: module as Scope['module'],
    actions: actions.split(',') as Scope['actions'],
    ...(types === undefined ? {} : { contentTypes: types.split(',') })
  }
}
