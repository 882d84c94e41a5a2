// What a stack admin does, step by step, over the very HTTP flows that her browser would take: log in to the CMS, install the
// app, open its configuration page, give the one-time grant, connect a database, create syncs, make an access key.
// The tests' flows take the same steps.
import type { Session } from '../../server/http/contract/extension.ts'
import type { Custody, GrantStart, NewGrant } from '../../server/http/contract/custody.ts'
import type {
  AccessKey,
  Connection,
  CreatedKey,
  List,
  NewConnection,
  NewKey,
  NewSync,
  Run,
  Sync
} from '../../server/http/contract/stack.ts'
import type { SandboxUrls } from '../context.ts'
import type { User } from '../world/model.ts'
import type { Person } from './person.ts'

export interface CmsLogin {
  user: User
  authtoken: string
}

/** POST /v3/user-session, as the platform's own pages do. */
export async function logIn(person: Person, urls: SandboxUrls, user: User): Promise<CmsLogin> {
  const { body } = await person.ask<{ user: { authtoken: string } }>(`${urls.contentManagement}/v3/user-session`, {
    method: 'POST',
    json: { user: { email: user.email, password: user.password } }
  })
  return { user, authtoken: body.user.authtoken }
}

/** Installs the app in the stack and follows the OAuth install redirect to the app's callback. Returns the installation's uid. */
export async function install(
  person: Person,
  urls: SandboxUrls,
  login: CmsLogin,
  appUid: string,
  organizationUid: string,
  apiKey: string
): Promise<string> {
  const headers = { authtoken: login.authtoken, organization_uid: organizationUid }
  const { body } = await person.ask<{ data: { installation_uid: string } }>(`${urls.developerHub}/manifests/${appUid}/install`, {
    method: 'POST',
    headers,
    json: { target_type: 'stack', target_uid: apiKey }
  })
  const installationUid = body.data.installation_uid
  const { body: code } = await person.ask<{ redirect_url: string }>(`${urls.application}/apps-api/install-code`, {
    method: 'POST',
    headers,
    json: { app_uid: appUid, installation_uid: installationUid }
  })
  await person.ask(code.redirect_url)
  return installationUid
}

/** Opens one of the app's signed pages: app-token, then our session. */
export async function openApp(
  person: Person,
  urls: SandboxUrls,
  server: string,
  login: CmsLogin,
  installationUid: string
): Promise<StackPages> {
  const { body } = await person.ask<{ token: string }>(`${urls.application}/apps-api/app-token`, {
    method: 'POST',
    headers: { authtoken: login.authtoken },
    json: { installation_uid: installationUid }
  })
  const session = await person.ask<Session>(`${server}/api/extension/session`, { method: 'POST', json: { appToken: body.token } })
  return stackPages(person, server, session.body)
}

export type StackPages = ReturnType<typeof stackPages>

function stackPages(person: Person, server: string, session: Session) {
  const headers = { authorization: `Bearer ${session.session}` }
  const base = `${server}/api/extension/stack`
  const get = async <T>(path: string) => (await person.ask<T>(`${base}${path}`, { headers })).body
  const post = async <T>(path: string, json: unknown = {}) =>
    (await person.ask<T>(`${base}${path}`, { method: 'POST', headers, json })).body

  return {
    session,
    headers,
    custody: () => get<Custody>('/token'),
    startGrant: (grant: NewGrant) => post<GrantStart>('/grants', grant),
    paste: (token: string) => post<unknown>('/tokens/paste', { token }),
    connect: (connection: NewConnection) => post<Connection>('/connections', connection),
    createSyncs: (sync: NewSync) => post<Sync[]>('/syncs', sync),
    syncs: async () => (await get<List<Sync>>('/syncs')).items,
    runs: async () => (await get<List<Run>>('/runs')).items,
    createKey: (key: NewKey) => post<CreatedKey>('/keys', key),
    keys: async () => (await get<List<AccessKey>>('/keys')).items
  }
}

/**
 * Gives the grant: opens the start page top-level, consents at Contentstack, returns to the callback, and waits until the token
 * stands in custody and the grant is finished. Throws Error with the grant's own words when it failed.
 */
export async function giveGrant(
  person: Person,
  urls: SandboxUrls,
  login: CmsLogin,
  appUid: string,
  organizationUid: string,
  pages: StackPages
): Promise<Custody> {
  const { grantId, url } = await pages.startGrant({ purpose: 'mint', expiresInDays: 90, branches: ['main'] })
  const start = await person.ask(url)
  if (start.location === null) throw new Error('The grant did not lead to Contentstack.')
  const asked = new URL(start.location).searchParams
  const { body } = await person.ask<{ data: { redirect_url: string } }>(`${urls.developerHub}/manifests/${appUid}/authorize`, {
    method: 'POST',
    headers: { authtoken: login.authtoken, organization_uid: organizationUid },
    json: Object.fromEntries(asked)
  })
  await person.ask(body.data.redirect_url)
  return await until(
    'the token to stand in custody',
    async () => {
      const custody = await pages.custody()
      const grant = custody.grant
      if (grant?.id === grantId && grant.status === 'failed') throw new Error(`The grant failed: ${grant.error ?? 'no reason given'}`)
      const finished = grant?.id === grantId && (grant.status === 'revoked' || grant.status === 'revoke_refused')
      return custody.current?.status === 'active' && finished ? custody : null
    },
    30
  )
}

/** Polls every 100 ms until `look` returns something; throws Error naming what was waited for after `seconds`. */
export async function until<T>(what: string, look: () => Promise<T | null>, seconds: number): Promise<T> {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (Date.now() > deadline) throw new Error(`Waited ${seconds} s for ${what}.`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}
