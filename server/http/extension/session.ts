// From the signed frame to a session of ours. The app-token proves a CMS user of one installation and nothing about their role;
// it is good for a few minutes, is exchanged here, and is never a session itself (reference §6).
import { type Request, type Response, Router } from 'express'
import { AppError, isAppError } from '../../errors.ts'
import type { ExtensionPrincipal } from '../../identity/principal.ts'
import { createSession, extensionLife, readSession, renewSession } from '../../identity/session.ts'
import type { Db } from '../../database/database.ts'
import { NewSession, type Session } from '../contract/extension.ts'
import type { Installation } from '../contract/stack.ts'
import { atMost, bearerOf, bodyOf } from '../guards.ts'

export interface SessionServices {
  db: Db
  /** Signature, expiry, our app, an active installation that agrees, and how often it was used. AppError unauthorized | forbidden. */
  proveAppToken(appToken: string): Promise<Omit<ExtensionPrincipal, 'stackAdmin' | 'kind'>>
  /** null = not knowable, because no token stands. */
  isStackAdmin(installationId: string, userUid: string): Promise<boolean | null>
  presentInstallation(installationId: string): Promise<Installation>
}

export function sessionRoutes(services: SessionServices): Router {
  const router = Router()

  // A whole editorial office may sit behind one address, and each entry opened is an exchange.
  router.post('/session', atMost(1200, 60), async (request, response) => {
    const { appToken } = bodyOf(request, NewSession)
    const person = await services.proveAppToken(appToken)
    const principal = await asFarAsKnown(services, { kind: 'extension', ...person, stackAdmin: false })
    const session = await createSession(services.db, { principal, ...extensionLife })
    response.json(await present(services, principal, session))
  })

  router.post('/session/renew', async (request, response) => {
    const principal = await asFarAsKnown(services, await personOf(services, request))
    const session = await renewSession(services.db, bearerOf(request) ?? '')
    response.json(await present(services, principal, session))
  })
  return router
}

/** The session's person, with an editor's rights. AppError unauthorized. */
export async function personOf(services: Pick<SessionServices, 'db'>, request: Request): Promise<ExtensionPrincipal> {
  const token = bearerOf(request)
  const session = token === null ? null : await readSession(services.db, token, 'extension')
  if (session === null) {
    throw new AppError('unauthorized', 'This session is over.', { remedy: 'Reload the page in Contentstack.' })
  }
  return session.principal
}

/** Their rights looked up anew (five minutes at most from a cache). AppError upstream when Contentstack cannot be asked. */
export async function proven(services: Pick<SessionServices, 'isStackAdmin'>, person: ExtensionPrincipal): Promise<ExtensionPrincipal> {
  return { ...person, stackAdmin: await services.isStackAdmin(person.installationId, person.userUid) }
}

/** While Contentstack cannot be asked, an admin is an editor: the frame still opens, and shows what we know by ourselves. */
async function asFarAsKnown(services: Pick<SessionServices, 'isStackAdmin'>, person: ExtensionPrincipal): Promise<ExtensionPrincipal> {
  try {
    return await proven(services, person)
  } catch (error) {
    if (!isAppError(error, 'upstream') && !isAppError(error, 'rate_limited')) throw error
    return { ...person, stackAdmin: false }
  }
}

export function principalAt(response: Response): ExtensionPrincipal {
  return response.locals.principal as ExtensionPrincipal
}

async function present(
  services: SessionServices,
  principal: ExtensionPrincipal,
  session: { token: string; idleExpiresAt: number; absoluteExpiresAt: number }
): Promise<Session> {
  return {
    session: session.token,
    idleExpiresAt: session.idleExpiresAt,
    absoluteExpiresAt: session.absoluteExpiresAt,
    userUid: principal.userUid,
    stackAdmin: principal.stackAdmin,
    installation: await services.presentInstallation(principal.installationId)
  }
}
