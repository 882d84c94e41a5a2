// The way into the console and out of it: OIDC at the operator's identity provider, then a session of ours in a cookie.
// The login under way (state, nonce, verifier) travels in a short cookie that only this browser holds and that carries our
// mark, so that a callback from another browser, or one we never began, finds nothing.
import { timingSafeEqual } from 'node:crypto'
import { type CookieOptions, type Request, type Response, Router } from 'express'
import type { Db } from '../../database/database.ts'
import { AppError } from '../../errors.ts'
import { appendAudit } from '../../audit/audit.ts'
import type { Flow, Oidc } from '../../identity/oidc.ts'
import { actorOf } from '../../identity/principal.ts'
import { adminOf } from '../../identity/roles.ts'
import { adminLife, createSession, endSession } from '../../identity/session.ts'
import type { Log } from '../../log.ts'
import type { Vault } from '../../vault/vault.ts'
import { asAppError, noteRefusal, statusOf } from '../errors.ts'
import { atMost, cookieOf, paramOf, queryOf } from '../guards.ts'
import { sendPage } from '../public/page.ts'

export interface LoginServices {
  db: Db
  vault: Vault
  log: Log
  /** True where the public URL is https: Secure cookies with the __Host- prefix. */
  https: boolean
  identityProviders: { id: string; name: string; oidc: Oidc }[]
  /** Who gets which role, as text. */
  roleMapping: string
}

const loginMs = 10 * 60_000

export function sessionCookie(https: boolean): string {
  return https ? '__Host-quayside' : 'quayside'
}

export function loginRoutes(services: LoginServices): Router {
  const { identityProviders, https } = services
  const flowCookie = `${sessionCookie(https)}-login`
  const router = Router()
  router.use(['/console/login', '/console/callback'], atMost(120, 60))

  router.get('/console/login', async (request, response) => {
    const asked = queryOf(request, 'provider')
    const provider =
      asked === undefined && identityProviders.length === 1 ? identityProviders[0] : identityProviders.find(({ id }) => id === asked)
    if (!provider) {
      if (asked !== undefined) throw new AppError('not_found', `There is no identity provider "${asked}" here.`)
      return sendPage(response, 200, {
        title: 'Log in',
        paragraphs: ['Choose where you have your account.'],
        links: identityProviders.map(({ id, name }) => ({ href: `/console/login?provider=${encodeURIComponent(id)}`, text: name }))
      })
    }
    const { url, flow } = await provider.oidc.begin()
    const content = JSON.stringify({
      provider: provider.id,
      flow,
      returnTo: returnPath(request),
      until: Date.now() + loginMs
    } satisfies LoginUnderWay)
    const value = `${Buffer.from(content).toString('base64url')}.${services.vault.mac('login-cookie', content)}`
    response.cookie(flowCookie, value, cookie(https, loginMs))
    response.redirect(302, url)
  })

  router.get('/console/callback/:provider', async (request, response) => {
    try {
      const underWay = readLogin(services.vault, cookieOf(request, flowCookie))
      const provider = identityProviders.find(({ id }) => id === paramOf(request, 'provider') && id === underWay.provider)
      if (!provider)
        throw new AppError('unauthorized', 'This login does not belong to this browser.', { remedy: 'Start again from the login page.' })
      const person = await provider.oidc.finish(request.originalUrl, underWay.flow)
      const principal = await adminOf(services.db, person)
      const former = sessionTokenOf(services, request)
      const token = await services.db.transaction().execute(async trx => {
        // Who logs in anew leaves no session behind that still works.
        if (former !== null) await endSession(trx, former)
        const session = await createSession(trx, { principal, ...adminLife })
        for (const organizationId of Object.keys(principal.roles)) {
          await appendAudit(trx, services.vault, {
            organizationId,
            actor: actorOf(principal),
            action: 'person.login',
            object: { kind: 'person', id: principal.personId, name: principal.name }
          })
        }
        return session.token
      })
      response.clearCookie(flowCookie, cookie(https))
      response.cookie(sessionCookie(https), sessionCookieValue(services, token), cookie(https, adminLife.absoluteMs))
      response.redirect(302, underWay.returnTo)
    } catch (error) {
      response.clearCookie(flowCookie, cookie(https))
      sayRefusal(services.log, request, response, error)
    }
  })
  return router
}

/**
 * A session remembers the roles of its login. The operator's mapping of groups to roles is part of the mark beside the token, so
 * that whoever was logged in before it changed logs in again.
 */
export function sessionCookieValue({ vault, roleMapping }: Pick<LoginServices, 'vault' | 'roleMapping'>, token: string): string {
  return `${token}.${vault.mac('console-session', JSON.stringify([token, roleMapping]))}`
}

/** null without a cookie that this server made under the mapping that now stands. */
export function sessionTokenOf(services: Pick<LoginServices, 'vault' | 'roleMapping' | 'https'>, request: Request): string | null {
  const value = cookieOf(request, sessionCookie(services.https)) ?? ''
  const token = value.split('.', 1)[0] ?? ''
  const [given, expected] = [Buffer.from(value), Buffer.from(sessionCookieValue(services, token))]
  return given.length === expected.length && timingSafeEqual(given, expected) ? token : null
}

/** Ends the session on the server; the cookie goes with it. */
export async function logOut(services: Pick<LoginServices, 'db' | 'https'>, token: string, response: Response): Promise<void> {
  await endSession(services.db, token)
  response.clearCookie(sessionCookie(services.https), cookie(services.https))
}

interface LoginUnderWay {
  provider: string
  flow: Flow
  returnTo: string
  until: number
}

function readLogin(vault: Vault, value: string | null): LoginUnderWay {
  const over = new AppError('unauthorized', 'This login is over, or was begun in another browser.', {
    remedy: 'Start again from the login page.'
  })
  const [encoded, mark] = (value ?? '').split('.', 2)
  if (!encoded || !mark) throw over
  const content = Buffer.from(encoded, 'base64url').toString()
  const expected = Buffer.from(vault.mac('login-cookie', content))
  const given = Buffer.from(mark)
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw over
  const underWay = JSON.parse(content) as LoginUnderWay
  if (underWay.until < Date.now()) throw over
  return underWay
}

/** Only a path of the console: anything else would make our login a stepping stone to somewhere else. */
function returnPath(request: Request): string {
  const asked = queryOf(request, 'return') ?? ''
  const plain = /^\/console\/[\w/?=&.%-]*$/.test(asked) && !/\.\.|\/\/|%2e|%2f|%5c/i.test(asked.split('?', 1)[0] ?? '')
  return plain ? asked : '/console/'
}

/** A person stands before this refusal, not a program. */
function sayRefusal(log: Log, request: Request, response: Response, thrown: unknown): void {
  const error = asAppError(thrown)
  if (error.code === 'internal') throw thrown
  noteRefusal(log, request, response, thrown)
  sendPage(response, statusOf[error.code], {
    title: error.code === 'forbidden' ? 'No access' : 'Not logged in',
    paragraphs: [error.message, ...(error.remedy === undefined ? [] : [error.remedy])],
    links: [{ href: '/console/login', text: 'To the login page' }]
  })
}

function cookie(https: boolean, maxAge?: number): CookieOptions {
  // As it is: marks have a colon, which a cookie may hold and cookieOf does not decode.
  return { encode: String, httpOnly: true, secure: https, sameSite: 'lax', path: '/', ...(maxAge === undefined ? {} : { maxAge }) }
}
