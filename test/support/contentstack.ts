// What a test needs to stand between the product and the sandbox: the sandbox as a region, our app's credentials there, a management
// token made by a person, and a client on it. The budget is left out unless a test brings one.
import { type Cma, type CmaOptions, createCma } from '../../server/contentstack/cma.ts'
import type { AppCredentials } from '../../server/contentstack/oauth.ts'
import type { Region } from '../../server/contentstack/regions.ts'
import { silentLog } from '../../server/log.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { User } from '../../sandbox/world/model.ts'
import { ada } from '../../sandbox/world/people.ts'
import { ask, logIn, type RegisteredApp } from './sandbox.ts'

export function regionOf(sandbox: Sandbox): Region {
  const { application, contentManagement, developerHub } = sandbox.urls
  return { id: 'sandbox', location: 'SANDBOX', application, contentManagement, developerHub }
}

export function credentialsOf(sandbox: Sandbox, app: RegisteredApp): AppCredentials {
  return { region: regionOf(sandbox), ...app, webhookSecret: 'webhook-secret-of-tests' }
}

export interface MadeToken {
  uid: string
  secret: string
}

/** A management token as a person makes it in the CMS. */
export async function makeToken(
  sandbox: Sandbox,
  options: { apiKey?: string; person?: User; name?: string; write?: boolean; branches?: string[]; expiresOn?: string } = {}
): Promise<MadeToken> {
  const { apiKey = blogApiKey, person = ada, write = true, branches = ['main'], expiresOn } = options
  const token = {
    name: options.name ?? `Token ${Math.random().toString(36).slice(2)}`,
    scope: [
      { module: 'content_type', acl: { read: true, write } },
      { module: 'branch', branches, acl: { read: true } }
    ],
    ...(expiresOn !== undefined && { expires_on: expiresOn })
  }
  const { status, body } = await ask<{ token: { uid: string; token: string } }>(
    `${sandbox.urls.contentManagement}/v3/stacks/management_tokens`,
    {
      method: 'POST',
      headers: { ...(await logIn(sandbox, person)), api_key: apiKey },
      body: { token }
    }
  )
  if (status >= 300) throw new Error(`the token could not be made: ${JSON.stringify(body)}`)
  return { uid: body.token.uid, secret: body.token.token }
}

export function cmaOn(sandbox: Sandbox, secret: string, options: Partial<CmaOptions> = {}): Cma {
  return createCma({
    region: regionOf(sandbox),
    apiKey: blogApiKey,
    credential: () => Promise.resolve({ header: 'authorization', value: secret }),
    acquire: () => Promise.resolve(),
    learn() {},
    log: silentLog,
    ...options
  })
}
