// Where Contentstack sends a person back to us. The install callback has no state, so it sets no cookie, starts no grant and
// binds nobody. A grant's pages hold together by a cookie that only the window that began it carries; without it they are
// strangers' pages and answer as if there were nothing.
import { type CookieOptions, type Request, type Response, Router } from 'express'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { asAppError, noteRefusal, statusOf } from '../errors.ts'
import { atMost, cookieOf, paramOf, queryOf, requiredQuery } from '../guards.ts'
import { sendPage } from './page.ts'

export interface OAuthServices {
  log: Log
  https: boolean
  finishInstall(input: { code: string; location: string; installationUid: string | null }): Promise<FinishedInstall>
  openGrant(input: { grantId: string; ticket: string }): Promise<{ url: string; cookie: string }>
  finishGrant(input: { code: string | null; state: string; location: string; cookie: string }): Promise<{ grantId: string }>
  grantProgress(input: { grantId: string; cookie: string }): Promise<GrantProgress>
}

export interface FinishedInstall {
  stackName: string
  /** False = the operator does not serve this organization. */
  claimed: boolean
  /** The app's configuration page in Contentstack, where it is known. */
  returnUrl: string | null
}

export interface GrantProgress {
  purpose: 'mint' | 'rotate' | 'delete' | 'uninstall'
  status: 'started' | 'exchanged' | 'minted' | 'revoked' | 'revoke_refused' | 'failed'
  stackName: string
  /** Nothing more will happen. */
  finished: boolean
  error: string | null
  validUntil: number | null
}

/** With https the browser itself keeps it from being set by a neighbour of this host. */
const grantCookie = (https: boolean): string => (https ? '__Host-quayside-grant' : 'quayside-grant')
const tenMinutesMs = 600_000

export function oauthRoutes(services: OAuthServices): Router {
  const cookie: CookieOptions = { httpOnly: true, secure: services.https, sameSite: 'lax', path: '/', maxAge: tenMinutesMs }
  const router = Router()
  const asPage = pages(services.log)
  // Each install callback asks Contentstack with our client secret; a grant's page asks us once a second while it is being minted.
  router.use('/oauth/install', atMost(60, 60))
  router.use('/oauth/grant', atMost(600, 60))
  router.use('/oauth', (_request, response, next) => {
    response.setHeader('cache-control', 'no-store')
    next()
  })

  router.get(
    '/oauth/install/callback',
    asPage(async (request, response) => {
      const { stackName, claimed, returnUrl } = await services.finishInstall({
        code: requiredQuery(request, 'code'),
        location: requiredQuery(request, 'location'),
        installationUid: queryOf(request, 'installation_uid') ?? null
      })
      sendPage(response, 200, {
        title: 'Quayside is installed',
        paragraphs: claimed
          ? [`It is installed in ${stackName}, and holds no token yet.`, "Open the app's configuration in Contentstack to give it one."]
          : [
              `It is installed in ${stackName}, but the operator of this Quayside does not serve your organization.`,
              'Nothing happens until the operator lists it.'
            ],
        links: returnUrl === null ? [] : [{ href: returnUrl, text: 'To Contentstack' }]
      })
    })
  )

  router.get(
    '/oauth/grant/start',
    asPage(async (request, response) => {
      const opened = await services.openGrant({ grantId: requiredQuery(request, 'grant'), ticket: requiredQuery(request, 'ticket') })
      response.cookie(grantCookie(services.https), opened.cookie, cookie)
      response.redirect(302, opened.url)
    })
  )

  router.get(
    '/oauth/grant/callback',
    asPage(async (request, response) => {
      if (queryOf(request, 'error') !== undefined) {
        const [state, cookie] = [queryOf(request, 'state'), cookieOf(request, grantCookie(services.https))]
        // Ends the grant at once, in words, where it is ours to end.
        if (state !== undefined && cookie !== null)
          await services.finishGrant({ code: null, state, location: queryOf(request, 'location') ?? '', cookie })
        throw new AppError('forbidden', 'Contentstack did not give the grant: it was cancelled or refused.', {
          remedy: "Start again from the app's configuration."
        })
      }
      const { grantId } = await services.finishGrant({
        code: requiredQuery(request, 'code'),
        state: requiredQuery(request, 'state'),
        location: requiredQuery(request, 'location'),
        cookie: heldCookie(services, request)
      })
      response.redirect(302, `/oauth/grant/${encodeURIComponent(grantId)}`)
    })
  )

  router.get(
    '/oauth/grant/:grantId',
    asPage(async (request, response) => {
      const progress = await services.grantProgress({ grantId: paramOf(request, 'grantId'), cookie: heldCookie(services, request) })
      sendPage(response, 200, pageOf(progress))
    })
  )
  return router
}

function pageOf({ purpose, status, stackName, error, validUntil }: GrantProgress) {
  const words = wordsOf(purpose, stackName)
  switch (status) {
    case 'revoked':
      return {
        title: words.done,
        paragraphs: [`${words.outcome} Your grant was revoked; nothing of yours is kept.`, 'You can close this window.']
      }
    case 'revoke_refused':
      return {
        title: words.done,
        paragraphs: [
          `${words.outcome} But Contentstack did not let us revoke your grant.`,
          `It ends by itself at ${new Date(validUntil ?? 0).toUTCString()}. To end it now, open Authorized Apps in your Contentstack profile.`
        ]
      }
    case 'failed':
      return {
        title: words.failed,
        paragraphs: [error ?? 'The grant could not be used.', "Start again from the app's configuration."]
      }
    case 'started':
    case 'exchanged':
    case 'minted':
      return { title: words.doing, paragraphs: [words.steps], refreshSeconds: 1 }
  }
}

function wordsOf(purpose: GrantProgress['purpose'], stackName: string) {
  switch (purpose) {
    case 'mint':
      return {
        doing: 'Minting the token',
        steps: `Minting, sealing and verifying the token of ${stackName}, then revoking your grant. This takes a few seconds.`,
        done: 'The token is in custody',
        outcome: `${stackName} has its management token.`,
        failed: 'No token was made'
      }
    case 'rotate':
      return {
        doing: 'Rotating the token',
        steps: `Minting, sealing and verifying the new token of ${stackName}; a minute later, when no request carries the old one any more, that is deleted and proven dead, and your grant revoked.`,
        done: 'The token is in custody',
        outcome: `${stackName} has its new management token, and the old one is dead.`,
        failed: 'No token was made'
      }
    case 'delete':
      return {
        doing: 'Giving the token up',
        steps: `Deleting the token of ${stackName} and proving it dead, then revoking your grant. This takes about a minute.`,
        done: 'The token is given up',
        outcome: `Quayside holds no management token of ${stackName} any more. Its work waits.`,
        failed: 'The token was not given up'
      }
    case 'uninstall':
      return {
        doing: 'Uninstalling Quayside',
        steps: `Removing the webhook, deleting the token of ${stackName} and proving it dead, then revoking your grant. This takes about a minute.`,
        done: 'Quayside is uninstalled',
        outcome: `Quayside holds nothing of ${stackName} any more. Remove the app in Contentstack as well.`,
        failed: 'Quayside was not uninstalled'
      }
  }
}

function heldCookie({ https }: Pick<OAuthServices, 'https'>, request: Request): string {
  const value = cookieOf(request, grantCookie(https))
  if (value !== null) return value
  throw new AppError('forbidden', 'This grant was begun in another browser, or more than ten minutes ago.', {
    remedy: "Start again from the app's configuration in Contentstack."
  })
}

/** A person stands before these routes: what is refused is said as a page. Defects of ours go to the error handler. */
function pages(log: Log) {
  return (handle: (request: Request, response: Response) => Promise<void>) => async (request: Request, response: Response) => {
    try {
      await handle(request, response)
    } catch (thrown) {
      const error = asAppError(thrown)
      if (error.code === 'internal') throw thrown
      noteRefusal(log, request, response, thrown)
      sendPage(response, statusOf[error.code], {
        title: 'This did not work',
        paragraphs: [error.message, ...(error.remedy === undefined ? [] : [error.remedy])]
      })
    }
  }
}
