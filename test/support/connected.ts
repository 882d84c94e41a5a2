// A stack of the sandbox whose management token is in our custody: what the gateway and the webhooks' registration start from. The
// token is minted over the wire by a stack admin of the sandbox; only the rows that an install and a grant would leave are put here.
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada, harbourPublishing } from '../../sandbox/world/people.ts'
import type { AppCredentials } from '../../server/contentstack/oauth.ts'
import type { Database } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import { createBudget } from '../../server/installations/budget.ts'
import type { CredentialDeps } from '../../server/installations/credentials.ts'
import { insertToken } from '../../server/installations/token.ts'
import { silentLog } from '../../server/log.ts'
import { insertInstallation, insertOrganization } from './rows.ts'
import { ask, logIn } from './sandbox.ts'
import { testVault } from './vault.ts'

export interface Connected {
  installation: Row<'installation'>
  /** The secret, so that a test can look for it where it must not be. */
  managementToken: string
  tokenUid: string
}

export const appUid = 'app-quayside'

export function appsOf(sandbox: Sandbox, appUidThere = appUid): AppCredentials[] {
  const { application, contentManagement, developerHub } = sandbox.urls
  const region = { id: 'sandbox', location: 'SANDBOX', application, contentManagement, developerHub }
  return [{ region, appUid: appUidThere, clientId: 'client', clientSecret: 'client-secret', webhookSecret: 'lifecycle-header-secret' }]
}

export async function credentialDeps(sandbox: Sandbox, database: Database): Promise<CredentialDeps> {
  return {
    vault: await testVault(database.db),
    apps: appsOf(sandbox),
    budget: createBudget(database),
    publicUrl: 'http://127.0.0.1:9',
    log: silentLog
  }
}

/** Connects the built-in blog, with a token that may write in `main`. */
export async function connectBlog(sandbox: Sandbox, database: Database, deps: CredentialDeps): Promise<Connected> {
  const headers = { ...(await logIn(sandbox, ada)), api_key: blogApiKey }
  const { status, body } = await ask<{ token: { uid: string; token: string } }>(
    `${sandbox.urls.contentManagement}/v3/stacks/management_tokens`,
    {
      method: 'POST',
      headers,
      body: {
        token: {
          name: `Test ${Math.random()}`,
          description: '',
          scope: [
            { module: 'content_type', acl: { read: true, write: true } },
            { module: 'branch', branches: ['main'], acl: { read: true } }
          ]
        }
      }
    }
  )
  if (status !== 201 && status !== 200) throw new Error(`no token was minted: ${status}`)
  const { db } = database
  const known = await db.selectFrom('organization').selectAll().where('organization_uid', '=', harbourPublishing).executeTakeFirst()
  const organization = known ?? (await insertOrganization(db, { organization_uid: harbourPublishing }))
  const installation = await insertInstallation(db, { organization_id: organization.id, stack_api_key: blogApiKey, app_uid: appUid })
  const secretId = await deps.vault.put(
    db,
    { organizationId: organization.id, installationId: installation.id, purpose: 'management_token' },
    body.token.token
  )
  await insertToken(db, installation, {
    name: 'Test',
    origin: 'minted',
    status: 'active',
    branches: ['main'],
    expiresAt: null,
    secretId,
    fingerprint: 'f'
  })
  return { installation, managementToken: body.token.token, tokenUid: body.token.uid }
}
