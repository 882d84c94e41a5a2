// The product in one picture: the same nightly script on Ada's authtoken and on an access key, before and after Ada leaves.
// Every answer is read back from the stack; nothing here is remembered from an earlier step.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { SandboxUrls } from '../context.ts'
import type { CmsLogin } from './admin.ts'
import type { Person } from './person.ts'

const scripts = fileURLToPath(new URL('../../examples/nightly-update/', import.meta.url))

export interface Cast {
  person: Person
  urls: SandboxUrls
  server: string
  apiKey: string
  contentType: string
  ada: CmsLogin
  accessKey: string
}

export interface ScriptAnswer {
  status: number
  /** The script's own last line. */
  line: string
}

export async function runScripts(cast: Cast): Promise<{ authtoken: ScriptAnswer; key: ScriptAnswer }> {
  const args = [cast.apiKey, cast.contentType]
  return {
    authtoken: await runScript('with-authtoken.mjs', args, {
      CONTENTSTACK_HOST: cast.urls.contentManagement,
      ADA_AUTHTOKEN: cast.ada.authtoken
    }),
    key: await runScript('with-access-key.mjs', args, { QUAYSIDE_GATEWAY: `${cast.server}/gateway`, QUAYSIDE_KEY: cast.accessKey })
  }
}

export async function adaLeaves({ person, urls, ada }: Cast): Promise<void> {
  await person.ask(`${urls.control}/people/${ada.user.uid}/leave`, { method: 'POST', json: {} })
}

/** 'revoked' when no authorization of Ada's stands any more. */
export async function grantOf({ person, urls, ada }: Cast): Promise<'revoked' | 'active'> {
  const { body } = await person.ask<{ authorizations: { userUid: string; revokedAt: string | null }[] }>(`${urls.control}/authorizations`)
  const own = body.authorizations.filter(authorization => authorization.userUid === ada.user.uid)
  return own.length > 0 && own.every(authorization => authorization.revokedAt !== null) ? 'revoked' : 'active'
}

/** Changes an entry as somebody else and returns what must now arrive in the database. */
export async function editEntry(cast: Cast, editor: CmsLogin): Promise<{ uid: string; version: number }> {
  const headers = { authtoken: editor.authtoken, api_key: cast.apiKey }
  const entries = `${cast.urls.contentManagement}/v3/content_types/${cast.contentType}/entries`
  const { body: list } = await cast.person.ask<{ entries: { uid: string; tags?: string[] }[] }>(`${entries}?limit=1`, { headers })
  const [entry] = list.entries
  if (!entry) throw new Error(`The content type ${cast.contentType} has no entry to edit.`)
  const { body } = await cast.person.ask<{ entry: { uid: string; _version: number } }>(`${entries}/${entry.uid}`, {
    method: 'PUT',
    headers,
    json: { entry: { tags: [...(entry.tags ?? []).filter(tag => !tag.startsWith('edited-')), `edited-${Date.now()}`] } }
  })
  return { uid: body.entry.uid, version: body.entry._version }
}

function runScript(name: string, args: string[], environment: Record<string, string>): Promise<ScriptAnswer> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [`${scripts}${name}`, ...args], {
      env: { PATH: process.env.PATH ?? '', ...environment },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.once('error', reject)
    child.once('exit', () => {
      const line = output.trim().split('\n').at(-1) ?? ''
      const status = Number(/^\d{3}/.exec(line)?.[0])
      if (Number.isNaN(status)) reject(new Error(`${name} printed no status: ${output.slice(0, 500)}`))
      else resolve({ status, line })
    })
  })
}
