// What a webhook's body says, as far as we use it: a hint which record to look at. Pure. Everything else in the body is ignored, and
// nothing of it is trusted before the signature is (contentstack.md §5.2, §7.3).
import { AppError } from '../errors.ts'

/** Of a webhook that says none, and came by no door of a branch. */
export const mainBranch = 'main'

export interface ContentNotice {
  module: string
  event: string
  apiKey: string
  /** Milliseconds. */
  triggeredAt: number
  objectUid: string | null
  contentType: string | null
  /** Of a publishing: the locale published; otherwise the entry's. */
  locale: string | null
  /** Concise payloads name none. */
  branch: string | null
  /** Of the object in `locale`; null where the body speaks of another locale's content, as when a fallback is published. */
  version: number | null
}

export type LifecycleEvent = 'install' | 'uninstall' | 'update' | 'upgrade'

export interface LifecycleNotice {
  event: LifecycleEvent
  triggeredAt: number
  appUid: string
  installationUid: string
  organizationUid: string
  stackApiKey: string
}

/** AppError invalid. */
export function readContentNotice(body: Buffer): ContentNotice {
  const { module, event, apiKey, triggeredAt, data } = envelopeOf(body)
  const object = objectIn(data[module])
  const branch = data.branch
  const contentLocale = localeIn(object.locale)
  const locale = localeIn(data.locale) ?? contentLocale
  const ofThisLocale = contentLocale === null || contentLocale === locale
  return {
    module,
    event,
    apiKey: apiKey ?? refuse('api_key'),
    triggeredAt,
    objectUid: uidIn(object.uid),
    contentType: uidIn(objectIn(data.content_type).uid),
    locale,
    branch: uidIn(typeof branch === 'string' ? branch : objectIn(branch).uid),
    version: ofThisLocale && Number.isSafeInteger(object._version) ? (object._version as number) : null
  }
}

const lifecycleEvents: readonly LifecycleEvent[] = ['install', 'uninstall', 'update', 'upgrade']

/** AppError invalid. Installations in an organization, without a stack, are not ours to serve and invalid too. */
export function readLifecycleNotice(body: Buffer): LifecycleNotice {
  const { module, event, apiKey, triggeredAt, data } = envelopeOf(body)
  const known = lifecycleEvents.find(name => name === event)
  if (module !== 'app_installation' || !known) refuse('event')
  const about = objectIn(data.app_installation)
  const target = objectIn(about.target)
  const stackApiKey = uidIn(target.uid) ?? refuse('data.app_installation.target.uid')
  if (target.type !== 'stack') refuse('data.app_installation.target.type')
  if (apiKey !== null && apiKey !== stackApiKey) refuse('api_key')
  return {
    event: known,
    triggeredAt,
    appUid: uidIn(about.app_uid) ?? refuse('data.app_installation.app_uid'),
    installationUid: uidIn(about.installation_uid) ?? refuse('data.app_installation.installation_uid'),
    organizationUid: uidIn(about.organization_uid) ?? refuse('data.app_installation.organization_uid'),
    stackApiKey
  }
}

interface Envelope {
  module: string
  event: string
  apiKey: string | null
  triggeredAt: number
  data: Record<string, unknown>
}

function envelopeOf(body: Buffer): Envelope {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw new AppError('invalid', 'The webhook is not JSON.', { cause })
  }
  const envelope = objectIn(value)
  const triggeredAt = typeof envelope.triggered_at === 'string' ? Date.parse(envelope.triggered_at) : Number.NaN
  if (Number.isNaN(triggeredAt)) refuse('triggered_at')
  return {
    module: wordIn(envelope.module) ?? refuse('module'),
    event: wordIn(envelope.event) ?? refuse('event'),
    apiKey: uidIn(envelope.api_key),
    triggeredAt,
    data: objectIn(envelope.data)
  }
}

function refuse(name: string): never {
  throw new AppError('invalid', `The webhook's "${name}" is not what Contentstack sends.`)
}

function objectIn(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

const textIn = (shape: RegExp) => (value: unknown) => (typeof value === 'string' && shape.test(value) ? value : null)
const wordIn = textIn(/^[a-z_]{1,40}$/)
const uidIn = textIn(/^[\w-]{1,200}$/)
const localeIn = textIn(/^[A-Za-z0-9-]{2,40}$/)
