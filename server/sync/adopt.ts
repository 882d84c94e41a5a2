// Taking over from an installation that has ended: a reinstall is a new installation, and what the old one knew (which entry is
// which record, what was last written) still lies under the old. It changes owner as it stands, so that no entry and no row is made
// again. Access keys, deliveries and the ledger stay with the old one: credentials and history do not pass on.
//
// Links and runs go first, in slices, each on its own footing; then all that makes syncs startable goes in one transaction. So
// whoever is broken off in between has changed nothing that counts, and finishes by asking again.
import { type RawBuilder, sql } from 'kysely'
import { type Actor, appendAudit } from '../audit/audit.ts'
import { databaseNow } from '../database/clock.ts'
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import { assertActive, getInstallation, type Installation, objectOf } from '../installations/installation.ts'
import { cancelJobs } from '../jobs/queue.ts'
import { regroup } from '../jobs/scheduler.ts'
import type { Vault } from '../vault/vault.ts'
import { driftScheduleId } from './drift.ts'
import { lockInstallation } from './lock.ts'

export interface PredecessorView {
  id: string
  installedAt: number
  endedAt: number
  connections: number
  syncs: number
  links: number
}

export interface Takeover {
  /** False: time ran out before all links had changed owner. Ask again. */
  finished: boolean
  connections: number
  syncs: number
  links: number
}

export const takenOverReason =
  'Taken over from an earlier installation. Connect a token, give its connection the secrets again where it needs any, then resume.'

/** Links or runs that change owner in one transaction: a few milliseconds, so that others who write get their turn. */
const rowsPerSlice = 500

/** Ended installations of the same stack that left something and that nobody took over, newest first. */
export async function predecessorsOf(db: Db, installation: Installation): Promise<PredecessorView[]> {
  const ended = await db
    .selectFrom('installation')
    .selectAll()
    .where('organization_id', '=', installation.organization_id)
    .where('region', '=', installation.region)
    .where('stack_api_key', '=', installation.stack_api_key)
    .where('app_uid', '=', installation.app_uid)
    .where('status', '=', 'uninstalled')
    .where('adopted_by', 'is', null)
    .where('id', '!=', installation.id)
    .orderBy('id', 'desc')
    .execute()
  const views: PredecessorView[] = []
  for (const row of ended) {
    const counts = await countsOf(db, row.id)
    if (counts.connections > 0) views.push({ id: row.id, installedAt: row.created_at, endedAt: row.updated_at, ...counts })
  }
  return views
}

/**
 * `from` gives all it had to `installation`; syncs come paused. Stops between two slices when `until` (milliseconds since 1970) has
 * passed. AppError not_found (unknown, another organization's), conflict (another stack, not ended, taken over already, work of the
 * old one still under way, or `installation` is not active).
 */
export async function adopt(
  db: Db,
  deps: { vault: Vault },
  input: { installation: Installation; from: string; actor: Actor; until?: number | undefined }
): Promise<Takeover> {
  const { installation, until = Number.POSITIVE_INFINITY } = input
  const old = await getInstallation(db, [installation.organization_id], input.from)
  await assertMayAdopt(db, installation, old)
  const pair: Pair = { from: old.id, to: installation.id }
  const counts = await countsOf(db, old.id)
  const syncs = await db.selectFrom('sync').select(['id', 'link_set_id']).where('installation_id', '=', old.id).orderBy('id').execute()
  for (const sets of new Set(syncs.map(sync => sync.link_set_id)))
    if (!(await moveLinks(db, pair, sets, until))) return { finished: false, ...counts }
  for (const { id } of syncs) if (!(await moveRuns(db, pair, id, until))) return { finished: false, ...counts }
  await takeOver(db, deps, pair, input.actor, counts)
  return { finished: true, ...counts }
}

interface Pair {
  from: string
  to: string
}

async function countsOf(db: Db, installationId: string): Promise<Pick<PredecessorView, 'connections' | 'syncs' | 'links'>> {
  const count = async (table: 'connection' | 'sync') =>
    (
      await db
        .selectFrom(table)
        .select(eb => eb.fn.countAll<number>().as('count'))
        .where('installation_id', '=', installationId)
        .executeTakeFirstOrThrow()
    ).count
  const { count: links } = await db
    .selectFrom('link')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('link_set_id', 'in', eb => eb.selectFrom('sync').select('link_set_id').where('installation_id', '=', installationId))
    .executeTakeFirstOrThrow()
  return { connections: await count('connection'), syncs: await count('sync'), links }
}

async function assertMayAdopt(db: Db, installation: Installation, old: Installation): Promise<void> {
  await assertActive(db, installation)
  const name = nameOf(old)
  if (old.region !== installation.region || old.stack_api_key !== installation.stack_api_key)
    throw new AppError('conflict', `${old.id} was installed in ${name}, not in ${nameOf(installation)}.`, {
      remedy: 'Entries of one stack are none of another. Name an earlier installation of the same stack.'
    })
  if (old.app_uid !== installation.app_uid)
    throw new AppError('conflict', `${old.id} is an installation of another app.`, { remedy: 'Name an earlier installation of this app.' })
  if (old.status !== 'uninstalled')
    throw new AppError('conflict', `${old.id} in ${name} has not ended.`, {
      remedy: 'Only what an uninstalled installation left is taken over.'
    })
  if (old.adopted_by !== null)
    throw new AppError(
      'conflict',
      `What ${old.id} left was taken over by ${old.adopted_by === installation.id ? 'this installation' : old.adopted_by} already.`
    )
  const now = await databaseNow(db)
  const working = await db
    .selectFrom('job')
    .select('id')
    .where('group_id', '=', old.id)
    .where('state', '=', 'running')
    .where('lease_until', '>', now)
    .limit(1)
    .executeTakeFirst()
  if (working) throw new AppError('conflict', `Work of ${old.id} is still coming to its end.`, { remedy: 'Try again in a minute.' })
}

/** Both rows held as they are until the transaction ends: nobody else takes over in between, and an uninstall waits. */
async function standing(trx: Db, { from, to }: Pair): Promise<{ installation: Installation; old: Installation }> {
  // In one order, so that two takeovers cannot wait for each other.
  const [first, second] = from < to ? [from, to] : [to, from]
  const rows = [await lockInstallation(trx, first), await lockInstallation(trx, second)]
  const [installation, old] = [rows.find(({ id }) => id === to)!, rows.find(({ id }) => id === from)!]
  await assertMayAdopt(trx, installation, old)
  return { installation, old }
}

type Place = Pick<Row<'link'>, 'branch' | 'locale' | 'external_id'>

const after = (place: Place): RawBuilder<boolean> =>
  sql<boolean>`("branch", "locale", "external_id") > (${place.branch}, ${place.locale}, ${place.external_id})`
const upTo = (place: Place): RawBuilder<boolean> =>
  sql<boolean>`("branch", "locale", "external_id") <= (${place.branch}, ${place.locale}, ${place.external_id})`

/** False when time ran out. By link set: a third that was broken off in the middle left some under its own name. */
async function moveLinks(db: Db, pair: Pair, linkSetId: string, until: number): Promise<boolean> {
  let done: Place = { branch: '', locale: '', external_id: '' }
  for (;;) {
    const last = await db.transaction().execute(async trx => {
      const { installation } = await standing(trx, pair)
      const places = await trx
        .selectFrom('link')
        .select(['branch', 'locale', 'external_id'])
        .where('link_set_id', '=', linkSetId)
        .where('installation_id', '!=', installation.id)
        .where(after(done))
        .orderBy('branch')
        .orderBy('locale')
        .orderBy('external_id')
        .limit(rowsPerSlice)
        .execute()
      const end = places.at(-1)
      if (end === undefined) return null
      await trx
        .updateTable('link')
        .set({ installation_id: installation.id })
        .where('link_set_id', '=', linkSetId)
        .where(after(done))
        .where(upTo(end))
        .execute()
      return end
    })
    if (last === null) return true
    if (Date.now() > until) return false
    done = last
  }
}

async function moveRuns(db: Db, pair: Pair, syncId: string, until: number): Promise<boolean> {
  let done = ''
  for (;;) {
    const last = await db.transaction().execute(async trx => {
      const { installation } = await standing(trx, pair)
      const runs = await trx
        .selectFrom('run')
        .select('id')
        .where('sync_id', '=', syncId)
        .where('installation_id', '!=', installation.id)
        .where('id', '>', done)
        .orderBy('id')
        .limit(rowsPerSlice)
        .execute()
      const end = runs.at(-1)
      if (end === undefined) return null
      await trx
        .updateTable('run')
        .set({ installation_id: installation.id })
        .where('sync_id', '=', syncId)
        .where('id', '>', done)
        .where('id', '<=', end.id)
        .execute()
      return end.id
    })
    if (last === null) return true
    if (Date.now() > until) return false
    done = last
  }
}

async function takeOver(db: Db, { vault }: { vault: Vault }, pair: Pair, actor: Actor, counts: Omit<Takeover, 'finished'>): Promise<void> {
  await db.transaction().execute(async trx => {
    const { installation, old } = await standing(trx, pair)
    await trx.updateTable('installation').set({ adopted_by: installation.id }).where('id', '=', old.id).execute()
    await trx.updateTable('connection').set({ installation_id: installation.id }).where('installation_id', '=', old.id).execute()
    await takeOverSyncs(trx, installation, old)
    await cancelJobs(trx, { group: old.id })
    await appendAudit(trx, vault, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      actor,
      action: 'installation.adopt',
      object: objectOf(installation),
      detail: { from: old.id, ...counts }
    })
  })
}

async function takeOverSyncs(trx: Db, installation: Installation, old: Installation): Promise<void> {
  const syncs = await trx.selectFrom('sync').select('id').where('installation_id', '=', old.id).execute()
  const ids = syncs.map(({ id }) => id)
  await regroup(trx, [...ids, ...ids.map(driftScheduleId)], installation.id)
  for (const table of ['intent', 'pending_reference'] as const) {
    await trx
      .updateTable(table as 'intent')
      .set({ installation_id: installation.id })
      .where('link_set_id', 'in', eb => eb.selectFrom('sync').select('link_set_id').where('installation_id', '=', old.id))
      .execute()
  }
  await trx
    .updateTable('run')
    .set({ status: 'paused' })
    .where('sync_id', 'in', eb => eb.selectFrom('sync').select('id').where('installation_id', '=', old.id))
    .where('status', 'in', ['queued', 'running'])
    .execute()
  // Whoever had stopped a sync before had a reason, which is not to be lost.
  await trx
    .updateTable('sync')
    .set({
      installation_id: installation.id,
      state: 'paused',
      paused_reason: sql<string>`case when state = 'paused' and paused_reason is not null and paused_reason not like ${`${takenOverReason}%`}
        then ${`${takenOverReason} Before that: `} || paused_reason else ${takenOverReason} end`,
      updated_at: Date.now()
    })
    .where('installation_id', '=', old.id)
    .execute()
}

const nameOf = (row: Installation): string => (row.stack_name ? `${row.stack_name} (${row.stack_api_key})` : row.stack_api_key)
