// `quayside doctor`, the side of the server: what only it can tell, about its database, its work, its vault and its stacks. Everything
// is looked at anew for each report and nothing is mended here.
import { createHash } from 'node:crypto'
import { databaseNow } from '../../database/clock.ts'
import type { Db } from '../../database/database.ts'
import type { Check } from '../../http/contract/doctor.ts'
import type { DoctorServices } from '../../http/operator/doctor.ts'
import { queueState } from '../../jobs/queue.ts'
import { exposedSecrets, keyUses } from '../../vault/status.ts'
import type { Deps } from '../deps.ts'
import { bad, counted, few, ok, type Probe, runProbes, spanOf, warn } from './check.ts'
import { databaseChecks } from './database.ts'
import { stackProbes } from './stacks.ts'

export function doctorServices(deps: Deps): DoctorServices {
  const { db, database, started } = deps
  const instance = async () => ({ id: started.instance, deployment: await deploymentOf(db).catch(() => null) })
  const probes: Probe[] = [
    { name: 'server database', run: () => databaseChecks(database, 'server database'), lateRemedy: 'Look at the database and its load.' },
    { name: 'jobs', run: () => jobs(db) },
    { name: 'sealed secrets', run: () => sealedSecrets(deps) },
    { name: 'organizations', run: () => organizations(db) },
    { name: 'alerts', run: () => alerts(db) },
    ...stackProbes(deps)
  ]
  return {
    instance,
    async doctor() {
      const [checks, here] = await Promise.all([runProbes(probes), instance()])
      const { at: startedAt, role, settings } = started
      return { instance: here, startedAt, role, settings, node: process.version, now: Date.now(), checks }
    }
  }
}

/** Of two databases never the same, whoever is on them. */
async function deploymentOf(db: Db): Promise<string> {
  const organization = await db.selectFrom('organization').select('id').orderBy('id').limit(1).executeTakeFirst()
  const { applied_at: at } = await db
    .withTables<{ migration: { name: string; applied_at: number } }>()
    .selectFrom('migration')
    .select('applied_at')
    .orderBy('name')
    .limit(1)
    .executeTakeFirstOrThrow()
  return createHash('sha256')
    .update(JSON.stringify([at, organization?.id]))
    .digest('hex')
    .slice(0, 32)
}

const longWaitMs = 5 * 60_000
const veryLongWaitMs = 60 * 60_000
const recentMs = 7 * 86_400_000

async function jobs(db: Db): Promise<Check[]> {
  const [now, { ready, running, held, oldestDueAt }] = [await databaseNow(db), await queueState(db)]
  const rows: Check[] = []
  const waits = oldestDueAt === null ? 0 : now - oldestDueAt
  if (waits > longWaitMs) {
    const say = waits > veryLongWaitMs ? bad : warn
    const words = `Due work has been waiting for ${spanOf(waits)} (${ready} jobs wait, ${running} run).`
    rows.push(
      say(
        'jobs',
        words,
        running === 0
          ? 'Start a process with QUAYSIDE_ROLE all or worker.'
          : 'Raise QUAYSIDE_WORKERS, or start another worker (PostgreSQL).'
      )
    )
  }
  const dead = await db
    .selectFrom('job')
    .select(({ fn }) => ['kind', fn.countAll<number>().as('count')])
    .where('state', '=', 'dead')
    .where('finished_at', '>', now - recentMs)
    .groupBy('kind')
    .orderBy('kind')
    .execute()
  if (dead.length > 0) {
    const words = `Work was given up within the last 7 days: ${few(dead.map(({ kind, count }) => `${count} ${kind}`))}.`
    rows.push(warn('jobs', words, 'Each left a line in the log, by its kind, saying why.'))
  }
  const heldWords = held === 0 ? '' : `, ${held} held until a token stands`
  return rows.length > 0 ? rows : [ok('jobs', `${ready} wait, ${running} run${heldWords}; nothing was given up within 7 days`)]
}

async function sealedSecrets({ db, vault }: Deps): Promise<Check[]> {
  const uses = await keyUses(db, vault.ring)
  const rows = uses
    .filter(({ state, secrets }) => state === 'missing' && secrets > 0)
    .map(({ id, secrets, rows }) =>
      bad(
        'sealed secrets',
        `${secrets} need the key ${id}, which is not on the key ring: ${few(rows)}.`,
        `Put the key ${id} back into the key file.`
      )
    )
  const exposed = await exposedSecrets(db, { after: '', limit: 100 })
  if (exposed.length > 0) {
    const words = `${exposed.length === 100 ? 'At least 100' : exposed.length} were wrapped by a key that was given as compromised, and are not replaced yet.`
    rows.push(bad('sealed secrets', words, 'See quayside keys status: it says of each how it is replaced.'))
  }
  const wrapping = uses.filter(({ secrets }) => secrets > 0)
  const sealed = wrapping.reduce((sum, { secrets }) => sum + secrets, 0)
  return rows.length > 0 ? rows : [ok('sealed secrets', `${sealed} under ${counted(wrapping.length, 'key')}, on the ring`)]
}

async function organizations(db: Db): Promise<Check[]> {
  const unclaimed = await db
    .selectFrom('installation')
    .innerJoin('organization', 'organization.id', 'installation.organization_id')
    .select(['organization.organization_uid as uid', 'organization.region'])
    .distinct()
    .where('organization.status', '=', 'unclaimed')
    .where('installation.status', '!=', 'uninstalled')
    .execute()
  if (unclaimed.length === 0) return []
  const words = `Organizations that are not listed have installed the app: ${few(unclaimed.map(({ uid, region }) => `${uid} (${region})`))}.`
  return [warn('organizations', words, 'Their installations stay idle until you list them in the tenants file.')]
}

/** Of each recipient only the last alert is known. What a receiver said is not repeated here. */
async function alerts(db: Db): Promise<Check[]> {
  const failing = await db
    .selectFrom('alert_recipient')
    .innerJoin('installation', 'installation.id', 'alert_recipient.installation_id')
    .select(['alert_recipient.kind', 'installation.stack_name'])
    .where('alert_recipient.error', 'is not', null)
    .where('installation.status', '=', 'active')
    .execute()
  if (failing.length === 0) return []
  const words = `Recipients did not get their last alert: ${few(failing.map(({ kind, stack_name: stack }) => `${kind} of ${stack}`))}.`
  return [warn('alerts', words, "The app's configuration page says why; try them there.")]
}
