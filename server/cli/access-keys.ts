// `quayside access-keys …`: credentials for scripts, as in the console. A key is printed once, alone on stdout, so that it can be
// piped to where it belongs without passing a screen.
import type { CAC } from 'cac'
import { AppError } from '../errors.ts'
import type { AccessKey, CreatedKey, NewKey } from '../http/contract/stack.ts'
import { askServer, print } from './server.ts'

type Scope = NewKey['scopes'][number]

export function accessKeyCommands(cli: CAC): void {
  cli
    .command('access-keys list', 'List access keys')
    .option('--json', 'One JSON array')
    .action(async (options: { json?: boolean }) => {
      const keys = await askServer<AccessKey[]>('GET', '/keys')
      print(
        options.json === true,
        keys,
        keys.map(({ id, name, stackName, fingerprint, owner, status }) => ({ id, name, stack: stackName, key: fingerprint, owner, status }))
      )
    })

  cli
    .command('access-keys create <installation> <name>', 'Make an access key and print it once')
    .option('--scope <scope>', 'module:actions[@types], e.g. entries:read,write@blog_post; may be repeated', { type: [String] })
    .option('--days <days>', 'Days until it expires', { default: 90 })
    .option('--json', 'One JSON object')
    .action(async (installation: string, name: string, options: { scope?: string[]; days: number; json?: boolean }) => {
      const key: NewKey = { name, scopes: (options.scope ?? []).map(readScope), expiresInDays: Number(options.days) }
      const created = await askServer<CreatedKey>('POST', `/installations/${encodeURIComponent(installation)}/keys`, key)
      if (options.json === true) return print(true, created, [])
      process.stderr.write(
        `${created.accessKey.id} for ${created.accessKey.stackName}; the gateway is ${created.gatewayUrl}. The key is shown this once:\n`
      )
      process.stdout.write(`${created.key}\n`)
    })

  cli.command('access-keys revoke <id>', 'Revoke an access key at once').action(async (id: string) => {
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
