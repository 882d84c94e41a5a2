// OAuth scopes in words a person can say yes or no to. Pure. A scope it has no sentence for is named as it stands.
// Fact: platform reference §3.3 (names); the sentences are ours.

const sentences: Record<string, string> = {
  'user:read': 'See who you are: name, e-mail address and roles',
  'organization:read': 'See the organizations you belong to',
  'organizations:read': 'See the organizations you belong to',
  'cm.stack.management-tokens:read': 'See the names of management tokens of a stack',
  'cm.stack.management-tokens:write': 'Create and delete management tokens of a stack',
  'cm.stacks.management:read': 'See the stacks you work in',
  'cm.stack.settings:read': 'See the settings of a stack',
  'cm.stack.users:read': 'See who works in a stack'
}

const nouns: Record<string, string> = {
  'content-types': 'content types',
  'content-type': 'a content type',
  'global-fields': 'global fields',
  entries: 'entries',
  entry: 'an entry',
  assets: 'assets',
  asset: 'an asset',
  webhooks: 'webhooks',
  environments: 'environments',
  languages: 'languages',
  roles: 'roles',
  branches: 'branches',
  releases: 'releases',
  workflows: 'workflows',
  taxonomies: 'taxonomies',
  labels: 'labels',
  extensions: 'extensions',
  'audit-logs': 'the audit log',
  'publish-queue': 'the publish queue'
}

const verbs: Record<string, string> = {
  read: 'Read',
  write: 'Create, change and delete',
  publish: 'Publish',
  unpublish: 'Unpublish',
  download: 'Download'
}

export function wordsOf(scope: string): string {
  const known = sentences[scope]
  if (known) return known
  const parts = /^cm\.([a-z-]+)(?:\.management)?:([a-z]+)$/.exec(scope)
  const noun = nouns[parts?.[1] ?? '']
  const verb = verbs[parts?.[2] ?? '']
  return noun && verb ? `${verb} ${noun}` : scope
}

/** Scopes that outlive the person's own session in what they make; the consent page says so beside them. */
export const outlives = (scope: string): boolean => scope === 'cm.stack.management-tokens:write'
