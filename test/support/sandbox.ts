// A sandbox for one test file, on free ports and silent, and the few gestures of a person in front of it: log in, ask a host,
// consent to an app, install it. Speaks HTTP only, like the people it stands for.
import { createSandbox, type Sandbox, type SandboxOptions } from '../../sandbox/sandbox.ts'
import type { User } from '../../sandbox/world/model.ts'

const freePorts = { application: 0, contentManagement: 0, developerHub: 0, identity: 0, control: 0 }

export function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  return createSandbox({ limits: 'off', ...options, ports: { ...freePorts, ...options.ports } })
}

export interface Reply<T = Record<string, unknown>> {
  status: number
  headers: Headers
  body: T
}

/** A JSON request; a body that is URLSearchParams goes as a form. */
export async function ask<T = Record<string, unknown>>(
  url: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: unknown } = {}
): Promise<Reply<T>> {
  const form = body instanceof URLSearchParams
  const response = await fetch(url, {
    method,
    headers: { ...(body !== undefined && !form && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: form ? body : JSON.stringify(body) })
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: (text === '' ? {} : JSON.parse(text)) as T }
}

/** Headers of a person who logged in as the CMS page does. */
export async function logIn(sandbox: Sandbox, person: User): Promise<{ authtoken: string; organization_uid: string }> {
  const { email, password } = person
  const { status, body } = await ask<{ user: { authtoken: string } }>(`${sandbox.urls.contentManagement}/v3/user-session`, {
    method: 'POST',
    body: { user: { email, password } }
  })
  if (status !== 200) throw new Error(`${email} could not log in: ${status}`)
  return { authtoken: body.user.authtoken, organization_uid: person.organizationUids[0]! }
}

export interface RegisteredApp {
  appUid: string
  clientId: string
  clientSecret: string
}

export const callback = 'http://127.0.0.1:9/oauth/grant'
export const installCallback = 'http://127.0.0.1:9/oauth/install'
export const grantScopes = ['cm.stack.management-tokens:read', 'cm.stack.management-tokens:write']

/** An app of Harbour Publishing with both kinds of token; `manifest` and `oauth` are laid over the defaults. */
export async function registerApp(
  sandbox: Sandbox,
  { manifest = {}, oauth = {} }: { manifest?: Record<string, unknown>; oauth?: Record<string, unknown> } = {}
): Promise<RegisteredApp> {
  const { status, body } = await ask<RegisteredApp & { error_message?: string }>(`${sandbox.urls.control}/apps`, {
    method: 'POST',
    body: {
      manifest: {
        name: 'Quayside',
        target_type: 'stack',
        ui_location: {
          signed: true,
          base_url: 'http://127.0.0.1:9',
          locations: [{ type: 'cs.cm.stack.sidebar', meta: [{ name: 'Sync', path: '/sidebar', signed: true, enabled: true }] }]
        },
        ...manifest
      },
      oauth: {
        redirect_uris: [installCallback, callback],
        user_token_config: { enabled: true, scopes: grantScopes, allow_pkce: true },
        app_token_config: { enabled: true, scopes: ['cm.entries.management:read'] },
        ...oauth
      }
    }
  })
  if (status !== 201) throw new Error(`the app could not be registered: ${body.error_message}`)
  return body
}

/** Installs the app into the stack and returns the installation's uid. */
export async function installApp(sandbox: Sandbox, headers: Record<string, string>, appUid: string, apiKey: string): Promise<string> {
  const { status, body } = await ask<{ data: { installation_uid: string }; error_message?: string }>(
    `${sandbox.urls.developerHub}/manifests/${appUid}/install`,
    { method: 'POST', headers, body: { target_type: 'stack', target_uid: apiKey } }
  )
  if (status !== 200) throw new Error(`the app could not be installed: ${body.error_message}`)
  return body.data.installation_uid
}
