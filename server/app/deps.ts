// What the rooms are handed, made once from config and secrets. Each use case takes of it just what it names.
import { resolve } from 'node:path'
import { type Anchors, createAnchors } from '../audit/anchors.ts'
import type { AlertsFile, Config, Secrets } from '../config.ts'
import type { AppCredentials } from '../contentstack/oauth.ts'
import type { StackClient } from '../contentstack/stack.ts'
import type { Database, Db } from '../database/database.ts'
import { createOidc, type Oidc } from '../identity/oidc.ts'
import { type Budget, createBudget } from '../installations/budget.ts'
import { stackFor, type StackUse } from '../installations/credentials.ts'
import type { Log } from '../log.ts'
import { createExpressions, type Expressions } from '../sync/expressions.ts'
import { createGuard, type Guard } from '../sync/guard.ts'
import type { Vault } from '../vault/vault.ts'
import { type Started, startedWith } from './doctor/settings.ts'

export interface Deps {
  database: Database
  db: Db
  vault: Vault
  apps: readonly AppCredentials[]
  /** Where the heads of the audit trail are noted outside the database. */
  anchors: Anchors
  budget: Budget
  guard: Guard
  expressions: Expressions
  log: Log
  publicUrl: string
  https: boolean
  trustedProxies: string[]
  identityProviders: { id: string; name: string; oidc: Oidc }[]
  /** Who gets which role, as text: a console session made under another is over. */
  roleMapping: string
  alertSettings: AlertsFile & { httpAllowed: boolean }
  /** What a report of this process says of its start. */
  started: Started
  stackFor(installationId: string, use: StackUse): Promise<StackClient>
}

export function createDeps(config: Config, secrets: Secrets, database: Database, vault: Vault, log: Log): Deps {
  const { db } = database
  const budget = createBudget(database)
  const credentials = { vault, apps: secrets.apps, budget, publicUrl: config.publicUrl, log }
  const guard = createGuard({ filesDirectory: config.filesDirectory, privateHosts: config.privateHosts, ownFiles: ownFiles(config) })
  return {
    ...credentials,
    database,
    db,
    anchors: createAnchors(config.anchorFile),
    guard,
    expressions: createExpressions(),
    publicUrl: config.publicUrl,
    trustedProxies: config.trustedProxies,
    https: config.publicUrl.startsWith('https://'),
    identityProviders: secrets.identityProviders.map(({ id, name, ...settings }) => ({
      id,
      name,
      oidc: createOidc({
        ...settings,
        redirectUri: `${config.publicUrl}/console/callback/${id}`,
        allowInsecure: !config.production,
        fetch: guard.fetch
      })
    })),
    roleMapping: JSON.stringify(secrets.identityProviders.map(({ id, issuer, groupRoles }) => [id, issuer, groupRoles])),
    alertSettings: { recipients: [], ...secrets.alerts, httpAllowed: !config.production },
    started: startedWith(config, secrets),
    stackFor: (installationId, use) => stackFor(db, credentials, installationId, use)
  }
}

/** Our own database is never a connector's target, wherever it stands. */
function ownFiles({ databaseUrl }: Config): string[] {
  if (!databaseUrl.startsWith('sqlite:')) return []
  const path = resolve(databaseUrl.slice('sqlite:'.length))
  return [path, `${path}-wal`, `${path}-shm`]
}
