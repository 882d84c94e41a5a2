// Builds an empty stack and answers the questions every room asks of one: which branch a name means, what a branch holds. It
// knows the data model and no HTTP.
import type {
  Asset,
  Branch,
  ContentType,
  Entry,
  Environment,
  Locale,
  ManagementToken,
  Organization,
  Stack,
  StackRole,
  World
} from './model.ts'
import { uidFor } from './uids.ts'

export interface StackSeed {
  apiKey: string
  name: string
  organization: Organization
  members: Record<string, StackRole>
  /** The first is the master locale. */
  locales: { code: string; name: string; fallback?: string }[]
  environments: { name: string; url?: string }[]
  branches?: string[]
}

export function createStack(seed: StackSeed): Stack {
  const master = seed.locales[0]?.code ?? 'en-us'
  const branches: Branch[] = (seed.branches ?? ['main']).map(uid => ({ uid, source: uid === 'main' ? '' : 'main', alias: [] }))
  return {
    apiKey: seed.apiKey,
    uid: uidFor(`${seed.apiKey}/stack`),
    name: seed.name,
    organizationUid: seed.organization.uid,
    masterLocale: master,
    members: seed.members,
    branches,
    locales: seed.locales.map(
      (locale): Locale => ({
        uid: uidFor(`${seed.apiKey}/locale/${locale.code}`),
        code: locale.code,
        name: locale.name,
        fallback_locale: locale.code === master ? null : (locale.fallback ?? master)
      })
    ),
    environments: seed.environments.map(
      (environment): Environment => ({
        uid: uidFor(`${seed.apiKey}/environment/${environment.name}`),
        name: environment.name,
        urls: seed.locales.map(locale => ({ locale: locale.code, url: environment.url ?? '' }))
      })
    ),
    contentTypes: Object.fromEntries(branches.map(branch => [branch.uid, {}])),
    globalFields: Object.fromEntries(branches.map(branch => [branch.uid, {}])),
    entries: Object.fromEntries(branches.map(branch => [branch.uid, {}])),
    assets: Object.fromEntries(branches.map(branch => [branch.uid, {}])),
    taxonomies: {},
    extensions: {},
    webhooks: {},
    executions: [],
    managementTokens: {},
    writes: []
  }
}

/** The token of that uid, also when it was deleted and may still be accepted. */
export function tokenOf(stack: Stack, uid: string): ManagementToken | undefined {
  return stack.managementTokens[uid] ?? stack.deletedTokens?.[uid]
}

/** The branch that a uid or an alias means; null when there is none. */
export function branchNamed(stack: Stack, name: string): Branch | null {
  return stack.branches.find(branch => branch.uid === name || branch.alias.some(alias => alias.uid === name)) ?? null
}

export function contentTypesOf(stack: Stack, branch: string): Record<string, ContentType> {
  return (stack.contentTypes[branch] ??= {})
}

export function globalFieldsOf(stack: Stack, branch: string): Record<string, ContentType> {
  return (stack.globalFields[branch] ??= {})
}

export function assetsOf(stack: Stack, branch: string): Record<string, Asset> {
  return (stack.assets[branch] ??= {})
}

/** Entries of one content type, by uid. */
export function entriesOf(stack: Stack, branch: string, contentType: string): Record<string, Entry> {
  const types = (stack.entries[branch] ??= {})
  return (types[contentType] ??= {})
}

export function localeOf(stack: Stack, code: string): Locale | null {
  return stack.locales.find(locale => locale.code === code) ?? null
}

/** The role a person has in a stack; null for strangers and for those who left. */
export function roleIn(world: World, stack: Stack, userUid: string): StackRole | null {
  const user = world.users[userUid]
  return user?.active ? (stack.members[userUid] ?? null) : null
}
