// The OAuth scopes Developer Hub offers and which kind of token may carry each: a management token can only be minted with a
// user token, because the app token is never offered that scope. Knows names only; what a scope opens is the CMA's table.
// Fact: reference §3.3, parsed from the platform's scope page (https://www.contentstack.com/docs/developers/developer-hub/oauth-scopes).

const userOnly = `
organizations:read organization:read organization.logs:read organization.ownership:write organization.roles:read
organization.share:read organization.share:write user:read user:write user.assignments:read
cm.stacks.management:read cm.stacks.management:write cm.stack.users:write cm.stack.management:write cm.stack.settings:read
cm.stack:share cm.stack:unshare cm.stack.delivery-tokens:read cm.stack.delivery-tokens:write
cm.stack.management-tokens:read cm.stack.management-tokens:write`

const userAndApp = `
cm.stack.users:read cm.content-types.management:read cm.content-types.management:write cm.content-type:read
cm.content-types:export cm.content-types:import cm.global-fields.management:read cm.global-fields.management:write
cm.global-fields:import cm.entries.management:read cm.entries.management:write cm.entry:read cm.entry:write
cm.entries:export cm.entries:import cm.entry:publish cm.entry:unpublish cm.entry.workflow:write
cm.bulk-operations:publish cm.bulk-operations:unpublish cm.bulk-operations:delete cm.bulk-operations:workflow
cm.assets.management:read cm.assets.management:write cm.assets:download cm.assets.rt:read
cm.asset:read cm.asset:write cm.asset:publish cm.asset:unpublish cm.extensions.management:read cm.extensions.management:write
cm.releases.management:read cm.releases.management:write cm.release:read cm.release:write cm.release:deploy cm.release:clone
cm.workflows.management:read cm.workflows.management:write cm.workflows.publishing-rules:read cm.workflows.publishing-rules:write
cm.labels.management:read cm.labels.management:write cm.languages.management:read cm.languages.management:write
cm.environments.management:read cm.environments.management:write cm.roles.management:read cm.roles.management:write
cm.webhooks.management:read cm.webhooks.management:write cm.webhooks:export cm.webhooks:import cm.webhook:read
cm.audit-logs:read cm.publish-queue.management:read cm.publish-queue.management:write
cm.branches.management:read cm.branches.management:write cm.branch-aliases.management:read cm.branch-aliases.management:write
cm.taxonomies.management:read cm.taxonomies.management:write cm.taxonomy.terms:read cm.taxonomy.terms:write`

const names = (text: string): string[] => text.trim().split(/\s+/)

export const userScopes: ReadonlySet<string> = new Set([...names(userOnly), ...names(userAndApp)])
export const appScopes: ReadonlySet<string> = new Set(names(userAndApp))

/** As `GET /manifests/oauth/scopes` lists them. The reply's exact shape is not established. */
export function scopeCatalogue(): { user_token: string[]; app_token: string[] } {
  return { user_token: [...userScopes], app_token: [...appScopes] }
}

/** "a b  c" -> ['a', 'b', 'c'], each once. */
export function parseScopes(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter(scope => scope !== ''))]
}
