// A Quayside in this process behind its real doors, with two full tenants side by side: each has an installation with a living
// token, a connection, a sync, a run with a failed record, a delivery, an access key, an audit trail, and people logged in by both
// doors. Contentstack is the sandbox on the wire; rows that long travels would leave are put there by hand.
import { createPrivateKey, sign } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey, shopApiKey } from '../../sandbox/world/built-in.ts'
import type { User } from '../../sandbox/world/model.ts'
import { ada, edda, harbourPublishing, sara, secondShore, sven } from '../../sandbox/world/people.ts'
import { type App, createApp } from '../../server/app.ts'
import { appendAudit } from '../../server/audit/audit.ts'
import type { IdentityProvider } from '../../server/config.ts'
import { type Database, type Db, openDatabase } from '../../server/database/database.ts'
import { newId } from '../../server/database/id.ts'
import { createAccessKey } from '../../server/identity/access-keys.ts'
import type { AdminRole } from '../../server/identity/principal.ts'
import { adminLife, createSession } from '../../server/identity/session.ts'
import { insertToken } from '../../server/installations/token.ts'
import { sessionCookieValue } from '../../server/http/console/login.ts'
import { createLog } from '../../server/log.ts'
import { generateKeyRing, type KeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { openVault, type Vault } from '../../server/vault/vault.ts'
import { recordDeliveries } from '../../server/webhooks/delivery.ts'
import { appsOf, appUid } from '../support/connected.ts'
import { makeToken } from '../support/contentstack.ts'
import { freshPostgres, freshSqlite } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'
import { startSandbox } from '../support/sandbox.ts'
import { addItems, newPlan } from '../../server/sync/plans.ts'
import { recordOutcomes } from '../../server/sync/run-log.ts'

export const publicUrl = 'https://quayside.example.com'

export interface House {
  app: App
  sandbox: Sandbox
  database: Database
  db: Db
  vault: Vault
  keyRing: KeyRing
  /** What the server has written down so far. */
  log(): string
  harbour: Tenant
  shore: Tenant
  ask(path: string, init?: Asked): Promise<Answer>
  close(): Promise<void>
}

export interface Tenant {
  organizationId: string
  organizationUid: string
  installationId: string
  installationUid: string
  stackApiKey: string
  connectionId: string
  syncId: string
  runId: string
  planId: string
  deliveryId: string
  auditId: string
  keyId: string
  /** In clear: what the script holds. */
  key: string
  managementToken: string
  stackAdmin: User
  editor: User
}

export interface Asked {
  method?: string
  headers?: Record<string, string>
  /** Text goes as it stands. */
  json?: unknown
}

export interface Answer {
  status: number
  headers: Headers
  text: string
  /** Of a refusal, its code and words; of anything else, null. */
  error: { code: string; message: string; remedy?: string; fields?: Record<string, string[]> } | null
  body: unknown
}

export async function openHouse(
  dialect: 'sqlite' | 'postgres',
  providersAt: (sandbox: Sandbox) => IdentityProvider[] = () => []
): Promise<House> {
  const sandbox = await startSandbox()
  const folder = await mkdtemp(join(tmpdir(), 'quayside-doors-'))
  const fresh = dialect === 'sqlite' ? await freshSqlite() : await freshPostgres()
  const keyRing = parseKeyRing(generateKeyRing())
  const lines: string[] = []
  const app = await createApp(
    {
      production: false,
      publicUrl,
      host: '127.0.0.1',
      port: 0,
      databaseUrl: fresh.url,
      anchorFile: join(folder, 'audit-anchors.jsonl'),
      filesDirectory: folder,
      privateHosts: ['127.0.0.1'],
      trustedProxies: ['loopback'],
      role: 'http',
      workers: 1,
      logLevel: 'debug',
      organizations: [
        { region: 'sandbox', organizationUid: harbourPublishing, name: 'Harbour Publishing' },
        { region: 'sandbox', organizationUid: secondShore, name: 'Second Shore' }
      ]
    },
    { keyRing, apps: appsOf(sandbox), identityProviders: providersAt(sandbox) },
    createLog('debug', { write: line => void lines.push(line) }),
    { background: false }
  )
  const database = await openDatabase(fresh.url)
  const vault = await openVault(database.db, { ring: keyRing })
  const tenant = (apiKey: string, organizationUid: string, stackAdmin: User, editor: User) =>
    openTenant(database.db, vault, sandbox, { apiKey, organizationUid, stackAdmin, editor })
  return {
    app,
    sandbox,
    database,
    db: database.db,
    vault,
    keyRing,
    log: () => lines.join(''),
    harbour: await tenant(blogApiKey, harbourPublishing, ada, edda),
    shore: await tenant(shopApiKey, secondShore, sara, sven),
    ask: (path, asked) => ask(`${app.url}${path}`, asked),
    async close() {
      await app.close()
      await database.close()
      await fresh.cleanup()
      await sandbox.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

async function openTenant(
  db: Db,
  vault: Vault,
  sandbox: Sandbox,
  { apiKey, organizationUid, stackAdmin, editor }: { apiKey: string; organizationUid: string; stackAdmin: User; editor: User }
): Promise<Tenant> {
  const { id: organizationId } = await db
    .selectFrom('organization')
    .select('id')
    .where('organization_uid', '=', organizationUid)
    .executeTakeFirstOrThrow()
  const installation = await insertInstallation(db, { organization_id: organizationId, stack_api_key: apiKey, app_uid: appUid })
  const own = { organization_id: organizationId, installation_id: installation.id }
  const { secret } = await makeToken(sandbox, { apiKey, person: stackAdmin })
  const secretId = await vault.put(db, { organizationId, installationId: installation.id, purpose: 'management_token' }, secret)
  await insertToken(db, installation, {
    name: 'Test',
    origin: 'minted',
    status: 'active',
    branches: ['main'],
    expiresAt: null,
    secretId,
    fingerprint: 'f'
  })
  const now = Date.now()
  const [connectionId, syncId, runId, linkSetId] = [newId('con'), newId('syn'), newId('run'), newId('lks')]
  await db
    .insertInto('connection')
    .values({
      ...own,
      id: connectionId,
      connector: 'sql',
      name: 'Warehouse',
      settings_json: JSON.stringify({ system: 'sqlite', file: `${organizationUid}.db` }),
      secrets_json: '{}',
      checked_at: now,
      error: null,
      created_at: now,
      updated_at: now
    })
    .execute()
  await db
    .insertInto('sync')
    .values({
      ...own,
      id: syncId,
      connection_id: connectionId,
      link_set_id: linkSetId,
      name: 'Articles',
      direction: 'outbound',
      content_type: 'article',
      branch: 'main',
      locales_json: '[]',
      mapping_json: '[]',
      options_json: JSON.stringify({ table: 'article', references: 'uid', richText: 'html', source: 'draft' }),
      state: 'active',
      paused_reason: null,
      revision: 1,
      created_at: now,
      updated_at: now
    })
    .execute()
  await db
    .insertInto('run')
    .values({
      ...own,
      id: runId,
      sync_id: syncId,
      cause: 'initial',
      caused_by: 'Somebody',
      status: 'partial',
      checkpoint_json: null,
      total: 1,
      read: 1,
      written: 0,
      skipped: 0,
      failed: 1,
      deleted: 0,
      error: null,
      started_at: now,
      finished_at: now,
      created_at: now
    })
    .execute()
  const sync = await db.selectFrom('sync').selectAll().where('id', '=', syncId).executeTakeFirstOrThrow()
  const { id: planId } = await newPlan(db, sync, { kind: 'dry-run', status: 'ready', reason: 'It would delete much.', madeBy: 'Somebody' })
  const item = {
    key: `entry-of-${organizationUid}:en-us`,
    locale: 'en-us',
    entryUid: `entry-of-${organizationUid}`,
    step: 'delete' as const
  }
  await addItems(db, { id: planId, organization_id: organizationId }, [{ ...item, expectedVersion: 1, sourceHash: '', diff: null }])
  await recordOutcomes(db, sync, { runId, cause: `run ${runId}` }, [{ ...item, outcome: 'failed', why: 'no' }])
  const [deliveryId] = await recordDeliveries(db, [
    {
      organizationId,
      installationId: installation.id,
      door: `content ${installation.id}`,
      module: 'entry',
      event: 'update',
      objectUid: `entry-of-${organizationUid}`,
      contentType: 'article',
      locale: 'en-us',
      branch: 'main',
      version: 1,
      body: Buffer.from('{}'),
      triggeredAt: now,
      receivedAt: now
    }
  ])
  const actor = { kind: 'admin', id: 'a', name: 'Somebody' } as const
  const { row, key } = await createAccessKey(
    db,
    { vault },
    {
      organizationId,
      installationId: installation.id,
      name: 'nightly',
      owner: 'Somebody',
      scopes: [{ module: 'entries', actions: ['read'] }],
      expiresInDays: null,
      actor
    }
  )
  await appendAudit(db, vault, {
    organizationId,
    installationId: installation.id,
    actor,
    action: 'sync.create',
    object: { kind: 'sync', id: syncId, name: 'Articles' }
  })
  const { id: auditId } = await db
    .selectFrom('audit_event')
    .select('id')
    .where('organization_id', '=', organizationId)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow()
  return {
    organizationId,
    organizationUid,
    installationId: installation.id,
    installationUid: installation.installation_uid,
    stackApiKey: apiKey,
    connectionId,
    syncId,
    runId,
    planId,
    deliveryId: deliveryId ?? '',
    auditId,
    keyId: row.id,
    key,
    managementToken: secret,
    stackAdmin,
    editor
  }
}

/** Headers of a person in the console, with a change's Origin. `roleMapping`: under which they logged in; of no provider unless given. */
export async function inConsole(house: House, roles: Record<string, AdminRole>, roleMapping = '[]'): Promise<Record<string, string>> {
  const principal = { kind: 'admin', personId: 'https://id.example#1', name: 'Person', email: 'person@example.com', roles } as const
  const { token } = await createSession(house.db, { principal, ...adminLife })
  return { cookie: `__Host-quayside=${sessionCookieValue({ vault: house.vault, roleMapping }, token)}`, origin: publicUrl }
}

/** Headers of a person in a frame of that stack, by the door's own exchange. */
export async function inFrame(house: House, tenant: Tenant, person: User): Promise<Record<string, string>> {
  const { status, text, body } = await house.ask('/api/extension/session', {
    method: 'POST',
    headers: { origin: publicUrl },
    json: { appToken: appTokenOf(house, tenant, { user_uid: person.uid }) }
  })
  if (status !== 200) throw new Error(`no session: ${status} ${text}`)
  return { authorization: `Bearer ${(body as { session: string }).session}`, origin: publicUrl }
}

/** As Contentstack signs it into the frame's address; `change` spoils it. */
export function appTokenOf(house: House, tenant: Tenant, change: Record<string, unknown> = {}): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    app_uid: appUid,
    installation_uid: tenant.installationUid,
    organization_uid: tenant.organizationUid,
    user_uid: tenant.stackAdmin.uid,
    stack_api_key: tenant.stackApiKey,
    iat: now,
    exp: now + 300,
    ...change
  }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const covered = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`
  return `${covered}.${sign('RSA-SHA256', Buffer.from(covered), createPrivateKey(house.sandbox.world.signing.privatePem)).toString('base64url')}`
}

async function ask(url: string, { method = 'GET', headers = {}, json }: Asked = {}): Promise<Answer> {
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: { ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(json === undefined ? {} : { body: typeof json === 'string' ? json : JSON.stringify(json) })
  })
  const text = await response.text()
  const body = parsed(text)
  const error = body !== null && typeof body === 'object' && 'error' in body ? (body.error as Answer['error']) : null
  return { status: response.status, headers: response.headers, text, body, error }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
