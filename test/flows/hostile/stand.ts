// Where the hostile requests are sent from, and how: two tenants side by side, an editor's session, and the forger's tools. Whatever a
// row presents as a credential is noted, so that the end can look for it where it must not be.
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { createPerson } from '../../../sandbox/demo/person.ts'
import { blogApiKey, shopApiKey } from '../../../sandbox/world/built-in.ts'
import { ada } from '../../../sandbox/world/people.ts'
import { signBody } from '../../../sandbox/webhooks/sign.ts'
import type { Sync } from '../../../server/http/contract/stack.ts'
import { cma, type Connected, type Flow } from '../../support/flow.ts'
import type { Secrets } from '../../support/secrets.ts'

export interface Stand {
  flow: Flow
  connected: Connected
  /** The second tenant. */
  other: Connected
  editor: Record<string, string>
  connectionId: string
  sync: Sync
  /** Whatever a row presented that must not be repeated anywhere. */
  presented: Secrets
}

export interface Answer {
  status: number
  text: string
}

export interface Row {
  /** What is sent. */
  send: (stand: Stand) => Promise<Answer>
  status: number
  /** Of the JSON refusal; null for a page that a person meets. */
  code: string | null
  /** In the message. */
  names: RegExp
  /** In the remedy; null where nothing can be done by whoever reads it. */
  remedy: RegExp | null
}

export const scope = (write: boolean, branch = 'main') => [
  { module: 'content_type', acl: write ? { read: true, write: true } : { read: true } },
  { module: 'branch', branches: [branch], acl: { read: true } }
]

/** A route of the app's pages. `as` is the headers of a session. */
export async function stack(
  { flow, connected }: Stand,
  method: string,
  path: string,
  json?: unknown,
  as: Record<string, string> = connected.pages.headers
): Promise<Answer> {
  return await send(`${flow.server.url}/api/extension/stack${path}`, method, { origin: flow.server.url, ...as }, json)
}

export async function send(url: string, method: string, headers: Record<string, string>, json?: unknown): Promise<Answer> {
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: { ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(json === undefined ? {} : { body: typeof json === 'string' ? json : JSON.stringify(json) })
  })
  return { status: response.status, text: await response.text() }
}

/** A management token made in Contentstack, as somebody would paste it. */
export async function pasted(
  stand: Stand,
  token: object,
  stackOf: 'own' | 'other' = 'own',
  spoil?: (uid: string) => void
): Promise<Answer> {
  const { flow, connected, other, presented } = stand
  const who = stackOf === 'own' ? connected.admin : other.admin
  const made = await cma<{ token: { uid: string; token: string } }>(flow, who, '/stacks/management_tokens', {
    method: 'POST',
    apiKey: stackOf === 'own' ? blogApiKey : shopApiKey,
    json: { token: { name: `Pasted ${Math.random()}`, description: '', ...token } }
  })
  spoil?.(made.token.uid)
  return await paste(stand, made.token.token, presented)
}

export async function paste(stand: Stand, token: string, presented = stand.presented): Promise<Answer> {
  presented.set(token, 'pasted credential')
  return await stack(stand, 'POST', '/tokens/paste', { token })
}

export function jwt(stand: Stand, change: Record<string, unknown>, { key, alg = 'RS256' }: { key?: string; alg?: string } = {}): string {
  const { flow, connected } = stand
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    app_uid: flow.app.appUid,
    installation_uid: connected.installationUid,
    organization_uid: flow.stack.organizationUid,
    user_uid: ada.uid,
    stack_api_key: flow.stack.apiKey,
    iat: now,
    exp: now + 300,
    ...change
  }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const covered = `${part({ alg, typ: 'JWT' })}.${part(claims)}`
  const signature =
    alg === 'none'
      ? ''
      : sign('RSA-SHA256', Buffer.from(covered), createPrivateKey(key ?? flow.sandbox.world.signing.privatePem)).toString('base64url')
  const token = `${covered}.${signature}`
  stand.presented.set(token, 'app-token')
  return token
}

export const strangersKey = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' }
}).privateKey
export const enter = (stand: Stand, appToken: string) =>
  send(`${stand.flow.server.url}/api/extension/session`, 'POST', { origin: stand.flow.server.url }, { appToken })

/** A webhook as Contentstack sends ours; `change` spoils it. */
export async function webhook(
  stand: Stand,
  change: { body?: object; secret?: string; signature?: string; to?: string } = {}
): Promise<Answer> {
  const { flow, connected } = stand
  const ours = Object.values(flow.stack.webhooks).find(({ name }) => name === `Quayside ${connected.installationId}`)!.destinations[0]!
  const body = JSON.stringify({
    module: 'entry',
    event: 'update',
    api_key: flow.stack.apiKey,
    triggered_at: new Date().toISOString(),
    data: { entry: { uid: 'blt1111111111111111', locale: 'en-us' }, content_type: { uid: 'article' } },
    ...change.body
  })
  const secret = change.secret ?? ours.custom_header[0]!.value
  stand.presented.set(secret, 'webhook secret')
  const headers = {
    'x-quayside-secret': secret,
    'x-contentstack-request-signature': change.signature ?? (await signBody(flow.sandbox.world.signing.privatePem, Buffer.from(body)))
  }
  return await send(change.to ?? ours.target_url, 'POST', headers, body)
}

/** A grant as far as Contentstack's consent; the browser's cookie is in `person`. */
export async function consented({ flow, connected }: Stand): Promise<{ person: ReturnType<typeof createPerson>; back: URL }> {
  const person = createPerson()
  const { url } = await connected.pages.startGrant({ purpose: 'rotate', expiresInDays: null, branches: ['main'] })
  const { location } = await person.ask(url)
  const { body } = await person.ask<{ data: { redirect_url: string } }>(
    `${flow.urls.developerHub}/manifests/${flow.app.appUid}/authorize`,
    {
      method: 'POST',
      headers: { authtoken: connected.admin.authtoken, organization_uid: flow.stack.organizationUid },
      json: Object.fromEntries(new URL(location!).searchParams)
    }
  )
  return { person, back: new URL(body.data.redirect_url) }
}
