// The identity provider for the console's login: OpenID Connect by oidc-provider, everything in memory, the login one click on a
// person. It runs on the machine's real time, not on the sandbox's clock, because the library keeps its own.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import express from 'express'
import { type Adapter, type AdapterPayload, Provider } from 'oidc-provider'
import type { SandboxContext } from '../context.ts'
import { faultMiddleware } from '../faults.ts'
import { directory } from './people.ts'
import { errorPage, loginPage, pageHeaders } from './pages.ts'

export interface IdentityClient {
  clientId: string
  clientSecret: string
  redirectUris: string[]
  postLogoutRedirectUris?: string[]
  /** client_secret_post unless set. */
  tokenEndpointAuthMethod?: 'client_secret_post' | 'client_secret_basic'
}

export interface IdentityRoom {
  app: express.Express
  /** Adds or replaces; a server that learns its own port late registers late. */
  registerClient: (client: IdentityClient) => void
}

const scopes = 'openid email profile groups'

export function createIdentity(context: SandboxContext, first?: IdentityClient): IdentityRoom {
  const clients = new Map<string, IdentityClient>()
  if (first) clients.set(first.clientId, first)
  const provider = createProvider(context.urls.identity, clients)

  const app = express()
  app.disable('x-powered-by')
  app.use(faultMiddleware(context, 'identity'))
  app.get('/interaction/:uid', async (request, response) => {
    const { uid, params } = await provider.interactionDetails(request, response)
    const client = typeof params.client_id === 'string' ? params.client_id : ''
    const hint = typeof params.login_hint === 'string' ? params.login_hint : ''
    response.set(pageHeaders).send(loginPage(uid, client, directory, hint))
  })
  app.post('/interaction/:uid/login', express.urlencoded({ extended: false }), async (request, response) => {
    const { email } = (request.body ?? {}) as { email?: unknown }
    const person = directory.find(it => it.email === email)
    const result = person
      ? { login: { accountId: person.subject, remember: false } }
      : { error: 'access_denied', error_description: 'Nobody was chosen.' }
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
  })
  app.get('/', (_request, response) => response.redirect('/.well-known/openid-configuration'))
  app.use(provider.callback())
  const showError: express.ErrorRequestHandler = (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error)
    response
      .status(400)
      .set(pageHeaders)
      .send(errorPage(error instanceof Error ? error.message : 'The login could not go on.'))
  }
  app.use(showError)

  return { app, registerClient: client => void clients.set(client.clientId, client) }
}

function createProvider(issuer: string, clients: Map<string, IdentityClient>): Provider {
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const provider = new Provider(issuer, {
    adapter: memoryAdapter(clients),
    jwks: { keys: [{ ...key, use: 'sig', alg: 'RS256', kid: 'sandbox' }] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    claims: { openid: ['sub', 'groups'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    // Otherwise groups would only be at the userinfo endpoint; most company directories put them into the ID token.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true } },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    ttl: { AccessToken: 3600, AuthorizationCode: 60, IdToken: 3600, Interaction: 3600, Session: 8 * 3600, Grant: 8 * 3600 },
    // The library refuses loopback targets; everything here is on loopback.
    fetch: (url, options) => {
      const { dispatcher: _guard, ...rest } = options as RequestInit & { dispatcher?: unknown }
      return fetch(url, rest)
    },
    findAccount: (_ctx, subject) => {
      const person = directory.find(it => it.subject === subject)
      return (
        person && {
          accountId: subject,
          claims: () => ({ sub: subject, email: person.email, email_verified: true, name: person.name, groups: person.groups })
        }
      )
    },
    // A company's own console asks for no consent.
    async loadExistingGrant(ctx) {
      const { client, session } = ctx.oidc
      if (!client || !session?.accountId) return undefined
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
      grant.addOIDCScope(scopes)
      await grant.save()
      return grant
    },
    renderError(ctx, out) {
      ctx.set(pageHeaders)
      ctx.body = errorPage(out.error_description ?? out.error)
    }
  })
  return provider
}

/** All of the provider's state, and the registered clients where it looks for those it was not born with. */
function memoryAdapter(clients: Map<string, IdentityClient>): (model: string) => Adapter {
  const rows = new Map<string, { payload: AdapterPayload; expiresAt: number }>()
  return model => {
    const read = (id: string): AdapterPayload | undefined => {
      const row = rows.get(`${model}:${id}`)
      if (row && row.expiresAt <= Date.now()) rows.delete(`${model}:${id}`)
      return row && row.expiresAt > Date.now() ? row.payload : undefined
    }
    const first = (matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined => {
      for (const [id, row] of rows) if (id.startsWith(`${model}:`) && row.expiresAt > Date.now() && matches(row.payload)) return row.payload
      return undefined
    }
    return {
      async upsert(id, payload, expiresIn) {
        rows.set(`${model}:${id}`, { payload, expiresAt: expiresIn ? Date.now() + expiresIn * 1000 : Infinity })
      },
      async find(id) {
        if (model !== 'Client') return read(id)
        const client = clients.get(id)
        return client && metadataOf(client)
      },
      async findByUid(uid) {
        return first(payload => payload.uid === uid)
      },
      async findByUserCode(userCode) {
        return first(payload => payload.userCode === userCode)
      },
      async destroy(id) {
        rows.delete(`${model}:${id}`)
      },
      async consume(id) {
        const payload = read(id)
        if (payload) payload.consumed = Math.floor(Date.now() / 1000)
      },
      async revokeByGrantId(grantId) {
        for (const [id, row] of rows) if (row.payload.grantId === grantId) rows.delete(id)
      }
    }
  }
}

function metadataOf(client: IdentityClient): AdapterPayload {
  return {
    client_id: client.clientId,
    client_secret: client.clientSecret,
    redirect_uris: client.redirectUris,
    post_logout_redirect_uris: client.postLogoutRedirectUris ?? [],
    token_endpoint_auth_method: client.tokenEndpointAuthMethod ?? 'client_secret_post',
    grant_types: ['authorization_code'],
    response_types: ['code']
  }
}
