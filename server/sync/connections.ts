// Connections: one configured, credentialed use of a connector. A connection is kept only after its check went well; its secrets
// are sealed and come out for one use at a time. Two tenants never share a file. An uninstall erases the secrets and leaves the
// connection: whoever uses it then is told to give them anew.
import { z } from 'zod'
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Connector, ConnectorContext, Field, Shape } from '../connectors/connector.ts'
import { connectors, findConnector } from '../connectors/index.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError, isAppError } from '../errors.ts'
import { assertActive, type Installation } from '../installations/installation.ts'
import type { Vault } from '../vault/vault.ts'
import type { Guard } from './guard.ts'
import { lockInstallation } from './lock.ts'

export interface ConnectionDeps {
  vault: Vault
  guard: Guard
}

export interface ConnectionInput {
  connector: string
  name: string
  settings: Record<string, unknown>
  secrets: Record<string, string>
}

/** A connection ready for use: the connector with its settings and context filled in. */
export interface OpenConnection {
  row: Row<'connection'>
  /** 'PostgreSQL' */
  system: string
  connector: Connector
  fields(target: string, signal: AbortSignal): Promise<Field[]>
  prepare(shape: Shape, signal: AbortSignal): Promise<void>
  push(
    shape: Shape,
    changes: Parameters<NonNullable<Connector['push']>>[1],
    signal: AbortSignal
  ): ReturnType<NonNullable<Connector['push']>>
  pull(source: Shape, since: unknown, signal: AbortSignal): ReturnType<NonNullable<Connector['pull']>>
  list(shape: Shape, signal: AbortSignal): ReturnType<NonNullable<Connector['list']>>
}

/** Checks, then seals and keeps. AppError invalid (fields), or what the check says: unauthorized, upstream, forbidden. */
export async function createConnection(
  db: Db,
  deps: ConnectionDeps,
  input: { installation: Installation; actor: Actor; connection: ConnectionInput }
): Promise<Row<'connection'>> {
  const { installation, actor } = input
  await assertActive(db, installation)
  const connector = requireConnector(input.connection.connector)
  const settings = parseSettings(connector, input.connection.settings)
  const name = input.connection.name.trim()
  if (name === '') throw new AppError('invalid', 'The connection needs a name.', { fields: { name: ['needs a name'] } })
  const secrets = secretsGiven(connector, settings, input.connection.secrets)
  await refuseForeignFile(db, deps.guard, installation.organization_id, settings)
  await checkWith(connector, settings, secrets, deps.guard)
  return await db.transaction().execute(async trx => {
    // While it was checked the installation may have ended: what is sealed after that nobody would erase.
    await assertActive(trx, await lockInstallation(trx, installation.id))
    const sealed = await sealAll(trx, deps.vault, installation, secrets)
    const now = Date.now()
    const row: Row<'connection'> = {
      id: newId('con'),
      organization_id: installation.organization_id,
      installation_id: installation.id,
      connector: connector.id,
      name,
      settings_json: JSON.stringify(settings),
      secrets_json: JSON.stringify(sealed),
      checked_at: now,
      error: null,
      created_at: now,
      updated_at: now
    }
    await trx.insertInto('connection').values(row).execute()
    await appendAudit(trx, deps.vault, {
      organizationId: row.organization_id,
      installationId: row.installation_id,
      actor,
      action: 'connection.create',
      object: { kind: 'connection', id: row.id, name },
      detail: { connector: connector.id, settings }
    })
    return row
  })
}

/**
 * All secrets of a connection anew: checked, then kept in the place of the old ones. AppError not_found, conflict (the installation
 * has ended), invalid (fields), or what the check says.
 */
export async function renewSecrets(
  db: Db,
  deps: ConnectionDeps,
  input: { installation: Installation; actor: Actor; id: string; secrets: Record<string, string> }
): Promise<Row<'connection'>> {
  const { installation, actor, id } = input
  const of = { installationId: installation.id, id }
  const known = await getConnection(db, of)
  await assertActive(db, installation)
  const connector = requireConnector(known.connector)
  const settings = parseSettings(connector, JSON.parse(known.settings_json))
  const secrets = secretsGiven(connector, settings, input.secrets)
  const missing = Object.keys(secretIdsOf(known)).filter(name => !secrets.has(name) && !connector.passingSecrets?.includes(name))
  if (missing.length > 0)
    throw new AppError('invalid', `The connection "${known.name}" needs all its secrets: ${missing.join(', ')}.`, {
      fields: Object.fromEntries(missing.map(name => [`secrets.${name}`, ['needed']]))
    })
  await checkWith(connector, settings, secrets, deps.guard)
  return await db.transaction().execute(async trx => {
    // Two at once go one after the other, and neither keeps a secret that an uninstall would no longer find.
    await assertActive(trx, await lockInstallation(trx, installation.id))
    const row = await getConnection(trx, of)
    for (const secretId of Object.values(secretIdsOf(row))) await deps.vault.erase(trx, secretId)
    const now = Date.now()
    const changes = {
      secrets_json: JSON.stringify(await sealAll(trx, deps.vault, installation, secrets)),
      checked_at: now,
      error: null,
      updated_at: now
    }
    await trx.updateTable('connection').set(changes).where('id', '=', id).execute()
    await appendAudit(trx, deps.vault, {
      organizationId: row.organization_id,
      installationId: row.installation_id,
      actor,
      action: 'connection.secrets',
      object: { kind: 'connection', id, name: row.name },
      detail: { secrets: [...secrets.keys()] }
    })
    return { ...row, ...changes }
  })
}

/** AppError conflict, with the remedy, for a connection whose secrets are erased. */
export async function requireSecrets(db: Db, vault: Pick<Vault, 'statesOf'>, row: Row<'connection'>): Promise<void> {
  const states = await vault.statesOf(db, Object.values(secretIdsOf(row)))
  if ([...states.values()].includes('erased')) throw secretsErased(row)
}

/** Checks again and remembers the answer; a refusal is part of the row, not an error. */
export async function checkConnection(
  db: Db,
  deps: ConnectionDeps,
  input: { installationId: string; id: string }
): Promise<Row<'connection'>> {
  const row = await getConnection(db, input)
  const connector = requireConnector(row.connector)
  let error: string | null = null
  try {
    await connector.check(
      parseSettings(connector, JSON.parse(row.settings_json)),
      contextOf(deps.guard, AbortSignal.timeout(20_000), secretOf(db, deps, row))
    )
  } catch (refusal) {
    if (!isAppError(refusal) || refusal.code === 'internal') throw refusal
    error = words(refusal)
  }
  const checked = { checked_at: Date.now(), error, updated_at: Date.now() }
  await db.updateTable('connection').set(checked).where('id', '=', row.id).execute()
  return { ...row, ...checked }
}

/** AppError not_found, also for another installation's. */
export async function getConnection(db: Db, of: { installationId: string; id: string }): Promise<Row<'connection'>> {
  const row = await db
    .selectFrom('connection')
    .selectAll()
    .where('id', '=', of.id)
    .where('installation_id', '=', of.installationId)
    .executeTakeFirst()
  if (!row) throw new AppError('not_found', `There is no connection ${of.id}`)
  return row
}

export async function listConnections(db: Db, installationId: string): Promise<Row<'connection'>[]> {
  return await db.selectFrom('connection').selectAll().where('installation_id', '=', installationId).orderBy('id', 'desc').execute()
}

export function openConnection(db: Db, deps: ConnectionDeps, row: Row<'connection'>): OpenConnection {
  const connector = requireConnector(row.connector)
  const settings = parseSettings(connector, JSON.parse(row.settings_json))
  const context = (signal: AbortSignal): ConnectorContext => contextOf(deps.guard, signal, secretOf(db, deps, row))
  const lacking = (what: string): AppError => new AppError('invalid', `${connector.title(settings)} cannot ${what}.`)
  return {
    row,
    system: connector.title(settings),
    connector,
    async fields(target, signal) {
      if (!connector.fields) throw lacking('name its fields')
      return await ownRefusal(connector.fields(target, settings, context(signal)))
    },
    async prepare(shape, signal) {
      if (connector.prepare) await ownRefusal(connector.prepare(shape, settings, context(signal)))
    },
    async push(shape, changes, signal) {
      if (!connector.push) throw lacking('be written to')
      return await ownRefusal(connector.push(shape, changes, settings, context(signal)))
    },
    async *pull(source, since, signal) {
      if (!connector.pull) throw lacking('be read from')
      yield* ownRefusals(connector.pull(source, since, settings, context(signal)))
    },
    async *list(shape, signal) {
      if (!connector.list) throw lacking('list what it holds')
      yield* ownRefusals(connector.list(shape, settings, context(signal)))
    }
  }
}

export function systemOf(row: Pick<Row<'connection'>, 'connector' | 'settings_json'>): string {
  const connector = findConnector(row.connector)
  const settings = connector?.settings.safeParse(JSON.parse(row.settings_json))
  return connector && settings?.success ? connector.title(settings.data) : row.connector
}

export interface ConnectorView {
  id: string
  support: string
  directions: ('outbound' | 'inbound')[]
  settings: Record<string, unknown>
  secrets: string[]
  passingSecrets: string[]
}

export function connectorViews(): ConnectorView[] {
  return connectors.map(connector => ({
    id: connector.id,
    support: connector.support,
    directions: [...(connector.push ? ['outbound' as const] : []), ...(connector.pull ? ['inbound' as const] : [])],
    settings: z.toJSONSchema(connector.settings, { io: 'input' }),
    secrets: [...connector.secrets],
    passingSecrets: [...(connector.passingSecrets ?? [])]
  }))
}

/** Message and remedy in one line, as rows keep it. */
export function words(error: AppError): string {
  return error.remedy ? `${error.message} ${error.remedy}` : error.message
}

/** From here on `unauthorized` means the stack's token alone: a database that refuses its own credential is `forbidden`. */
export async function ownRefusal<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (!isAppError(error, 'unauthorized')) throw error
    throw new AppError('forbidden', error.message, { cause: error, ...(error.remedy ? { remedy: error.remedy } : {}) })
  }
}

async function* ownRefusals<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { value, done } = await ownRefusal(iterator.next())
      if (done) return
      yield value
    }
  } finally {
    await iterator.return?.()
  }
}

/** AppError invalid. */
export function requireConnector(id: string): Connector {
  const connector = findConnector(id)
  if (connector) return connector
  throw new AppError('invalid', `There is no connector "${id}".`, {
    remedy: `Connectors: ${connectors.map(known => known.id).join(', ')}.`,
    fields: { connector: ['unknown'] }
  })
}

/** AppError invalid with fields. */
export function parseSettings(connector: Connector, settings: unknown): unknown {
  const parsed = connector.settings.safeParse(settings)
  if (parsed.success) return parsed.data
  const fields: Record<string, string[]> = {}
  for (const issue of parsed.error.issues) (fields[['settings', ...issue.path].join('.')] ??= []).push(issue.message)
  throw new AppError(
    'invalid',
    `The settings are not complete: ${Object.entries(fields)
      .map(([name, says]) => `${name} ${says.join(', ')}`)
      .join('; ')}.`,
    { fields }
  )
}

/** Those that were filled in. AppError invalid for one that the connector does not know. */
function secretsGiven(connector: Connector, settings: unknown, given: Record<string, string>): Map<string, string> {
  const secrets = Object.entries(given).filter(([, value]) => value !== '')
  const unknown = secrets.find(([name]) => !connector.secrets.includes(name))
  if (unknown)
    throw new AppError('invalid', `${connector.title(settings)} takes no secret named "${unknown[0]}".`, {
      fields: { [`secrets.${unknown[0]}`]: ['unknown'] }
    })
  return new Map(secrets)
}

async function checkWith(connector: Connector, settings: unknown, secrets: Map<string, string>, guard: Guard): Promise<void> {
  await connector.check(
    settings,
    contextOf(guard, AbortSignal.timeout(20_000), name => Promise.resolve(secrets.get(name) ?? null))
  )
}

/** name -> secret.id */
async function sealAll(
  trx: Db,
  vault: Vault,
  { id: installationId, organization_id: organizationId }: Installation,
  secrets: Map<string, string>
): Promise<Record<string, string>> {
  const sealed: Record<string, string> = {}
  for (const [name, value] of secrets) sealed[name] = await vault.put(trx, { organizationId, installationId, purpose: 'connection' }, value)
  return sealed
}

const secretIdsOf = (row: Pick<Row<'connection'>, 'secrets_json'>) => JSON.parse(row.secrets_json) as Record<string, string>

function secretsErased({ name }: Row<'connection'>): AppError {
  return new AppError('conflict', `The secrets of the connection "${name}" were erased when the app was uninstalled or moved.`, {
    remedy: 'Give its secrets again under Connections, then resume its syncs.'
  })
}

function contextOf(guard: Guard, signal: AbortSignal, secret: (name: string) => Promise<string | null>): ConnectorContext {
  return {
    fetch: guard.fetch,
    resolve: host => guard.resolve(host),
    file: path => guard.file(path),
    signal,
    async secret(name) {
      const value = await secret(name)
      if (value === null) throw new AppError('not_found', `The connection has no secret "${name}".`)
      return value
    }
  }
}

function secretOf(db: Db, deps: ConnectionDeps, row: Row<'connection'>): (name: string) => Promise<string | null> {
  const secrets = new Map(Object.entries(secretIdsOf(row)))
  return async name => {
    const id = secrets.get(name)
    if (id === undefined) return null
    try {
      return await deps.vault.reveal(db, id, 'connection')
    } catch (error) {
      // "Not there" would let a connector try without: a database that asks for none would then be written to by nobody's right.
      throw isAppError(error, 'not_found') ? secretsErased(row) : error
    }
  }
}

/** AppError forbidden for a file that another tenant uses, or outside the operator's directory. */
export async function refuseForeignFile(db: Db, guard: Guard, organizationId: string, settings: unknown): Promise<void> {
  const file = fileOf(settings)
  if (file === null) return
  const path = guard.file(file)
  const others = await db
    .selectFrom('connection')
    .select('settings_json')
    .where('organization_id', '!=', organizationId)
    .where('settings_json', 'like', '%"file"%')
    .execute()
  const taken = others.map(other => fileOf(JSON.parse(other.settings_json))).some(other => other !== null && guard.file(other) === path)
  if (taken)
    throw new AppError('forbidden', `The file ${file} cannot be used.`, {
      remedy: 'Name another file.',
      fields: { 'settings.file': ['cannot be used'] }
    })
}

function fileOf(settings: unknown): string | null {
  return settings !== null && typeof settings === 'object' && 'file' in settings && typeof settings.file === 'string' ? settings.file : null
}
