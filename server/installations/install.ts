// The end of a Marketplace install: Contentstack sends the browser here with a code that nothing ties to a session of ours, so it
// binds nobody, starts no grant and activates nothing. It only makes an installation known early, as pending; a lifecycle event or an
// app-token activates it. The app token that the code buys is dropped unread by anyone else.
import { type AppCredentials, exchangeCode } from '../contentstack/oauth.ts'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { type Installation, organizationOf, rememberPending } from './installation.ts'

export interface InstallDeps {
  apps: readonly AppCredentials[]
  publicUrl: string
  log: Log
  fetch?: typeof fetch
}

export const installCallbackPath = '/oauth/install/callback'

export interface FinishedInstall {
  /** null when Contentstack's callback did not name the installation; its lifecycle event will. */
  installation: Installation | null
  /** False = the operator does not serve this organization, so the installation stays idle. */
  claimed: boolean
}

/** Throws AppError invalid (unknown location, bad code), forbidden (not an install's code), conflict, upstream. */
export async function finishInstall(
  db: Db,
  deps: InstallDeps,
  input: { code: string; location: string; installationUid: string | null }
): Promise<FinishedInstall> {
  const app = appAt(deps.apps, input.location)
  if (input.code === '')
    throw new AppError('invalid', 'The install callback carries no code', { remedy: 'Install the app from Contentstack again.' })
  const token = await exchangeCode(app, { code: input.code, redirectUri: `${deps.publicUrl}${installCallbackPath}` }, fetchOf(deps))
  if (token.authorizationType !== 'app') {
    throw new AppError('forbidden', "This code is a person's authorization, not an install's", {
      remedy: 'Install the app from Contentstack.'
    })
  }
  if (!input.installationUid) {
    deps.log.info({ region: app.region.id }, 'an install callback named no installation; waiting for its lifecycle event')
    return { installation: null, claimed: true }
  }
  const installation = await rememberPending(db, {
    region: app.region.id,
    appUid: app.appUid,
    installationUid: input.installationUid,
    organizationUid: token.organizationUid,
    stackApiKey: token.stackApiKey
  })
  return { installation, claimed: (await organizationOf(db, installation)).status === 'claimed' }
}

/** `location` as Contentstack's callbacks carry it. Throws AppError invalid for a region that we hold no client credentials for. */
export function appAt(apps: readonly AppCredentials[], location: string): AppCredentials {
  const app = apps.find(({ region }) => region.location === location)
  if (app) return app
  throw new AppError('invalid', `The location ${JSON.stringify(location.slice(0, 40))} is no region that this Quayside is set up for`, {
    remedy: `It is set up for ${apps.map(({ region }) => region.location).join(', ')}.`
  })
}

/** Where people rotate or replace a token: the app's page in Contentstack for stack admins, the console for the operator's people. */
export function custodyLinks(
  deps: { apps: readonly AppCredentials[]; publicUrl: string },
  installation: Pick<Installation, 'id' | 'region' | 'installation_uid' | 'stack_api_key'>
): { title: string; url: string }[] {
  return [
    { title: 'Open in Contentstack', url: configPage(deps, installation) },
    { title: 'Open in the console', url: `${deps.publicUrl}/console/installations/${installation.id}?rotate` }
  ]
}

/** https://www.contentstack.com/docs/developers/apis/marketplace-api#install-an-app: where the platform itself sends people. */
export function configPage(
  deps: { apps: readonly AppCredentials[] },
  installation: Pick<Installation, 'region' | 'installation_uid' | 'stack_api_key'>
): string {
  const { application } = appOf(deps.apps, installation).region
  return `${application}/installed-apps/${installation.installation_uid}/stacks/${installation.stack_api_key}/config`
}

/** Throws AppError internal when an installation's region is no longer configured. */
export function appOf(apps: readonly AppCredentials[], installation: Pick<Installation, 'region'>): AppCredentials {
  const app = apps.find(({ region }) => region.id === installation.region)
  if (app) return app
  throw new AppError('internal', `Region ${installation.region} is not configured any more`, {
    remedy: 'Add its client id and secret again.'
  })
}

export const fetchOf = (deps: { fetch?: typeof fetch }): { fetch?: typeof fetch } => (deps.fetch ? { fetch: deps.fetch } : {})
