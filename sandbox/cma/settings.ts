// A stack's settings that content hangs on: locales, environments, branches, taxonomies and extensions (contentstack.md §8.5).
// Branch creation wants a person (§1.4). Releases, workflows and labels can be asked for; this world holds none.
import { Router } from 'express'
import type { Environment, Locale } from '../world/model.ts'
import { localeOf } from '../world/stack.ts'
import { newUid } from '../world/uids.ts'
import { compile } from './entry-query.ts'
import type { Call, Doors } from './call.ts'
import { personBehind } from './credentials.ts'
import { pageOf, queryOf } from './page.ts'
import { noSuchLocale } from './publish.ts'
import { recordWrite } from './record.ts'
import { invalidData, noSuchObject, notLoggedIn, Refusal } from './refusal.ts'

export function settingRoutes(doors: Doors): Router {
  const router = Router()
  localeRoutes(router, doors)
  environmentRoutes(router, doors)
  branchRoutes(router, doors)
  taxonomyRoutes(router, doors)
  router.get(
    '/extensions',
    doors.stack(call => {
      call.permit('extensions', 'read')
      return { body: pageOf(Object.values(call.stack.extensions), call.params, 'extensions') }
    })
  )
  router.get(
    '/extensions/:uid',
    doors.stack((call, request) => {
      call.permit('extensions', 'read')
      const extension = call.stack.extensions[String(request.params['uid'])]
      if (!extension) throw noSuchObject()
      return { body: { extension } }
    })
  )
  for (const module of ['releases', 'workflows', 'labels'] as const) {
    router.get(
      `/${module}`,
      doors.stack(call => {
        call.permit(module, 'read')
        return { body: pageOf([], call.params, module) }
      })
    )
  }
  return router
}

function localeRoutes(router: Router, doors: Doors): void {
  const named = (call: Call, code: unknown): Locale => {
    const locale = localeOf(call.stack, String(code))
    if (!locale) throw noSuchLocale()
    return locale
  }
  router.get(
    '/locales',
    doors.stack(call => {
      call.permit('locales', 'read')
      return { body: pageOf(matching(call, call.stack.locales), call.params, 'locales') }
    })
  )
  router.get(
    '/locales/:code',
    doors.stack((call, request) => {
      call.permit('locales', 'read')
      return { body: { locale: named(call, request.params['code']) } }
    })
  )
  router.post(
    '/locales',
    doors.stack(call => {
      const locale = call.permitWrite('locales', (): Locale => {
        const given = objectIn(call, 'locale')
        const code = typeof given['code'] === 'string' ? given['code'] : ''
        if (!/^[a-z]{2,3}(?:-[a-z0-9]+)*$/u.test(code))
          throw invalidData('Language creation failed. Please try again.', { code: ['is not valid.'] })
        // §8.1: 422/247 when it stands already.
        if (localeOf(call.stack, code))
          throw new Refusal(422, 247, 'Language already exists. Please try again.', { code: ['is not unique.'] })
        const fallback = typeof given['fallback_locale'] === 'string' ? given['fallback_locale'] : call.stack.masterLocale
        named(call, fallback)
        return { uid: newUid(), code, name: typeof given['name'] === 'string' ? given['name'] : code, fallback_locale: fallback }
      })
      call.stack.locales.push(locale)
      recordWrite(call, { action: 'create', module: 'locale', uid: locale.uid, locale: locale.code })
      return { status: 201, body: { notice: 'Language added successfully.', locale } }
    })
  )
  router.put(
    '/locales/:code',
    doors.stack((call, request) => {
      const locale = call.permitWrite('locales', () => named(call, request.params['code']))
      const given = objectIn(call, 'locale')
      if (typeof given['name'] === 'string') locale.name = given['name']
      if (typeof given['fallback_locale'] === 'string') locale.fallback_locale = named(call, given['fallback_locale']).code
      recordWrite(call, { action: 'update', module: 'locale', uid: locale.uid, locale: locale.code })
      return { body: { notice: 'Language updated successfully.', locale } }
    })
  )
  router.delete(
    '/locales/:code',
    doors.stack((call, request) => {
      const locale = call.permitWrite('locales', () => {
        const found = named(call, request.params['code'])
        const needed = found.code === call.stack.masterLocale || call.stack.locales.some(other => other.fallback_locale === found.code)
        if (needed) throw invalidData('Language deletion failed. It is the master or a fallback.', { code: ['is not valid.'] })
        return found
      })
      call.stack.locales = call.stack.locales.filter(other => other !== locale)
      recordWrite(call, { action: 'delete', module: 'locale', uid: locale.uid, locale: locale.code })
      return { body: { notice: 'Language removed successfully.' } }
    })
  )
}

function environmentRoutes(router: Router, doors: Doors): void {
  const named = (call: Call, name: unknown): Environment => {
    const environment = call.stack.environments.find(one => one.name === name || one.uid === name)
    if (!environment) throw noSuchObject('environment')
    return environment
  }
  const given = (call: Call, before: Environment | null): Environment => {
    const { name, urls } = objectIn(call, 'environment')
    const wanted = typeof name === 'string' ? name : (before?.name ?? '')
    if (!/^[\w.-]+$/u.test(wanted)) throw invalidData('Environment creation failed. Please try again.', { name: ['is not valid.'] })
    if (call.stack.environments.some(one => one.name === wanted && one.uid !== before?.uid)) {
      throw invalidData('Environment creation failed. Please try again.', { name: ['is not unique.'] })
    }
    return { uid: before?.uid ?? newUid(), name: wanted, urls: Array.isArray(urls) ? (urls as Environment['urls']) : (before?.urls ?? []) }
  }
  router.get(
    '/environments',
    doors.stack(call => {
      call.permit('environments', 'read')
      return { body: pageOf(matching(call, call.stack.environments), call.params, 'environments') }
    })
  )
  router.get(
    '/environments/:name',
    doors.stack((call, request) => {
      call.permit('environments', 'read')
      return { body: { environment: named(call, request.params['name']) } }
    })
  )
  router.post(
    '/environments',
    doors.stack(call => {
      const environment = call.permitWrite('environments', () => given(call, null))
      call.stack.environments.push(environment)
      recordWrite(call, { action: 'create', module: 'environment', uid: environment.uid })
      return { status: 201, body: { notice: 'Environment created successfully.', environment } }
    })
  )
  router.put(
    '/environments/:name',
    doors.stack((call, request) => {
      const { before, after } = call.permitWrite('environments', () => {
        const found = named(call, request.params['name'])
        return { before: found, after: given(call, found) }
      })
      Object.assign(before, after)
      recordWrite(call, { action: 'update', module: 'environment', uid: before.uid })
      return { body: { notice: 'Environment updated successfully.', environment: before } }
    })
  )
  router.delete(
    '/environments/:name',
    doors.stack((call, request) => {
      const environment = call.permitWrite('environments', () => named(call, request.params['name']))
      call.stack.environments = call.stack.environments.filter(one => one !== environment)
      recordWrite(call, { action: 'delete', module: 'environment', uid: environment.uid })
      return { body: { notice: 'Environment deleted successfully.' } }
    })
  )
}

function branchRoutes(router: Router, doors: Doors): void {
  router.get(
    '/stacks/branches',
    doors.stack(call => {
      call.permit('branches', 'read')
      wantBranches(call, call.context.plays.branchlessList === 'refused')
      if (call.stack.branchless) return { body: { branches: [] } }
      return { body: pageOf(call.stack.branches, call.params, 'branches') }
    })
  )
  router.get(
    '/stacks/branches/:uid',
    doors.stack((call, request) => {
      call.permit('branches', 'read')
      wantBranches(call, true)
      const branch = call.stack.branches.find(one => one.uid === request.params['uid'])
      if (!branch) throw noSuchObject()
      return { body: { branch } }
    })
  )
  router.post(
    '/stacks/branches',
    doors.stack(call => {
      if (personBehind(call.credential) === null) throw notLoggedIn('authtoken')
      wantBranches(call, true)
      const { uid, source } = call.permitWrite('branches', () => {
        const given = objectIn(call, 'branch')
        const name = typeof given['uid'] === 'string' ? given['uid'] : ''
        const from = typeof given['source'] === 'string' ? given['source'] : 'main'
        if (!/^[a-z0-9_]{1,15}$/u.test(name)) throw invalidData('Branch creation failed.', { uid: ['is not valid.'] })
        if (call.stack.branches.some(one => one.uid === name)) throw invalidData('Branch creation failed.', { uid: ['is not unique.'] })
        if (!call.stack.branches.some(one => one.uid === from)) throw invalidData('Branch creation failed.', { source: ['is not valid.'] })
        return { uid: name, source: from }
      })
      const branch = { uid, source, alias: [] }
      call.stack.branches.push(branch)
      for (const part of ['contentTypes', 'globalFields', 'entries', 'assets'] as const) {
        const copies: Record<string, unknown> = call.stack[part]
        copies[uid] = structuredClone(copies[source] ?? {})
      }
      return {
        status: 201,
        body: {
          notice: 'Your request to create branch is in progress. Please check organization bulk task queue for more details.',
          branch
        }
      }
    })
  )
}

/** Neither status nor code nor words are established. */
function wantBranches({ stack }: Call, refuses: boolean): void {
  if (stack.branchless && refuses)
    throw new Refusal(403, 403, 'Branches are not enabled for this stack.', { branches: ['is not enabled.'] })
}

function taxonomyRoutes(router: Router, doors: Doors): void {
  const named = (call: Call, uid: unknown) => {
    const taxonomy = call.stack.taxonomies[String(uid)]
    if (!taxonomy) throw noSuchObject()
    return taxonomy
  }
  router.get(
    '/taxonomies',
    doors.stack(call => {
      call.permit('taxonomies', 'read')
      const taxonomies = Object.values(call.stack.taxonomies).map(({ terms: _terms, ...taxonomy }) => taxonomy)
      return { body: pageOf(taxonomies, call.params, 'taxonomies') }
    })
  )
  router.get(
    '/taxonomies/:uid',
    doors.stack((call, request) => {
      call.permit('taxonomies', 'read')
      const { terms: _terms, ...taxonomy } = named(call, request.params['uid'])
      return { body: { taxonomy } }
    })
  )
  router.get(
    '/taxonomies/:uid/terms',
    doors.stack((call, request) => {
      call.permit('taxonomies', 'read')
      return { body: pageOf(named(call, request.params['uid']).terms, call.params, 'terms') }
    })
  )
}

function matching<T extends object>(call: Call, items: T[]): T[] {
  const { rest } = compile(queryOf(call.params), [])
  return rest === null ? items : items.filter(item => rest(path => [(item as Record<string, unknown>)[path]].flat()))
}

function objectIn(call: Call, key: string): Record<string, unknown> {
  const given = call.body[key]
  if (typeof given !== 'object' || given === null) throw invalidData('Please enter valid data.', { [key]: ['is a required field.'] })
  return given as Record<string, unknown>
}
