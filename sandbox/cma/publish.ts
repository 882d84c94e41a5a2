// Publishing and unpublishing of entries and assets (contentstack.md §8.2, §8.3): acknowledged at once, true when
// publish_details shows it. One event per environment and locale. Environments are named, not numbered, in requests.
import { viewOf, type EntryView } from '../world/entry-view.ts'
import type { Asset, ContentType, Entry, Environment, PublishDetail } from '../world/model.ts'
import { localeOf } from '../world/stack.ts'
import { assetShape } from './asset-shape.ts'
import type { Call } from './call.ts'
import { shape } from './entry-write.ts'
import { authorOf, recordWrite } from './record.ts'
import { invalidData, noSuchObject, Refusal } from './refusal.ts'

export interface Target {
  environments: Environment[]
  locales: string[]
  version?: number
  scheduledAt?: number
}

type Way = 'publish' | 'unpublish'

/** `given` holds environments and locales; `around` version and scheduled_at. Throws Refusal 422 naming what is unknown. */
export function targetOf(call: Call, given: unknown, around: Record<string, unknown>): Target {
  const asked = (typeof given === 'object' && given !== null ? given : {}) as Record<string, unknown>
  const names = texts(asked['environments'])
  if (names.length === 0) throw invalidData('Publish failed. Please enter valid data.', { environments: ['is a required field.'] })
  const environments = names.map(name => {
    const found = call.stack.environments.find(one => one.name === name || one.uid === name)
    if (!found)
      throw new Refusal(422, 141, `The environment '${name}' was not found. Please try again.`, { environments: ['is not valid.'] })
    return found
  })
  const first = typeof around['locale'] === 'string' ? around['locale'] : call.stack.masterLocale
  const locales = texts(asked['locales'])
  const wanted = locales.length > 0 ? locales : [first]
  for (const locale of wanted) if (!localeOf(call.stack, locale)) throw noSuchLocale()
  const version = around['version']
  const scheduled = around['scheduled_at']
  return {
    environments,
    locales: wanted,
    ...(typeof version === 'number' && { version }),
    ...(typeof scheduled === 'string' && !Number.isNaN(Date.parse(scheduled)) && { scheduledAt: Date.parse(scheduled) })
  }
}

/** §8.1: 422 for a locale the stack has not, as for a wrongly spelled one; code [MEM]. */
export function noSuchLocale(): Refusal {
  return new Refusal(422, 141, 'Language was not found. Please try again.', { locale: ['is not valid.'] })
}

export function publishEntry(call: Call, type: ContentType, entry: Entry, way: Way, target: Target): void {
  const { stack } = call
  if (way === 'publish' && target.version !== undefined) {
    const known = target.locales.every(locale => viewOf(stack, entry, locale, target.version) !== null)
    if (!known) throw noSuchObject('version')
  }
  const by = authorOf(call)
  at(call, target, () => {
    for (const locale of target.locales) {
      const view = viewOf(stack, entry, locale, way === 'publish' ? target.version : undefined)
      if (!view) continue
      for (const environment of target.environments) {
        entry.publishDetails = changed(entry.publishDetails, way, detail(call, environment, locale, view.version.version, by))
        recordWrite(call, {
          action: way,
          module: 'entry',
          uid: entry.uid,
          contentType: type.uid,
          branch: call.branch,
          locale,
          version: view.version.version
        })
        tell(call, type, view, way, environment, locale)
      }
    }
  })
}

function tell(call: Call, type: ContentType, view: EntryView, way: Way, environment: Environment, locale: string): void {
  call.context.changes.emit({
    module: 'entry',
    event: way,
    apiKey: call.stack.apiKey,
    branch: call.branch,
    locale,
    environment,
    version: view.version.version,
    object: shape(call, type, view),
    contentType: type,
    by: call.credential,
    at: call.context.clock.iso()
  })
}

export function publishAsset(call: Call, asset: Asset, way: Way, target: Target): void {
  const by = authorOf(call)
  at(call, target, () => {
    const version = target.version ?? asset.version
    for (const locale of target.locales) {
      for (const environment of target.environments) {
        asset.publishDetails = changed(asset.publishDetails, way, detail(call, environment, locale, version, by))
        recordWrite(call, { action: way, module: 'asset', uid: asset.uid, branch: call.branch, locale, version })
        call.context.changes.emit({
          module: 'asset',
          event: way,
          apiKey: call.stack.apiKey,
          branch: call.branch,
          locale,
          environment,
          version,
          object: assetShape(call.stack, asset, call.context.urls.contentManagement, { publishDetails: true }),
          by: call.credential,
          at: call.context.clock.iso()
        })
      }
    }
  })
}

function at(call: Call, target: Target, run: () => void): void {
  const { clock, plays } = call.context
  const wait = Math.max(0, (target.scheduledAt ?? 0) - clock.now())
  if (wait > 0) clock.after(wait, run)
  else if (plays.publishing === 'queued') clock.after(2000, run)
  else run()
}

function detail(call: Call, environment: Environment, locale: string, version: number, user: string): PublishDetail {
  return { environment: environment.uid, locale, time: call.context.clock.iso(), user, version }
}

function changed(details: PublishDetail[], way: Way, next: PublishDetail): PublishDetail[] {
  const others = details.filter(one => one.environment !== next.environment || one.locale !== next.locale)
  return way === 'publish' ? [...others, next] : others
}

function texts(given: unknown): string[] {
  return Array.isArray(given) ? given.filter(one => typeof one === 'string') : []
}
