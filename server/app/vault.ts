// The vault's life in a running server: it learns what came into the key file, writes down what was opened, and moves everything to
// another key as a job that survives whoever runs it.
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import type { NewRewrap, Rewrap } from '../http/contract/operator.ts'
import type { OperatorVault } from '../http/operator/vault.ts'
import type { JobKind } from '../jobs/job.ts'
import { enqueue } from '../jobs/queue.ts'
import { finishMove, type Move, moveAll, moveProgress, startMove } from '../vault/rewrap.ts'
import { exposedSecrets, keysInUse, keyUses, organizationsElsewhere, refuseMissingKeys } from '../vault/status.ts'
import { remedyOf, renewJob, tellExposed, type VaultDeps } from './exposed.ts'

const rewrapKind = 'vault.rewrap'
const refreshMs = 30_000
const flushMs = 60_000
const mostExposed = 1_000

/** The file is read again and reveals are written down, now and then, until it is stopped. */
export function keepVault({ db, vault, log }: VaultDeps): { stop(): Promise<void> } {
  const failed = (what: string) => (error: unknown) => log.error({ error }, what)
  const refresh = async () => {
    if (await vault.refresh(db)) await refuseMissingKeys(db, vault.ring)
  }
  const flush = async () => await vault.flush(db).catch(failed('reveals could not be counted'))
  let last: Promise<unknown> = Promise.resolve()
  const timers = [
    setInterval(() => (last = refresh().catch(failed('the key file could not be read again'))), refreshMs),
    setInterval(() => (last = flush()), flushMs)
  ]
  for (const timer of timers) timer.unref()
  return {
    async stop() {
      timers.forEach(clearInterval)
      await last
      await flush()
    }
  }
}

interface RewrapJob extends Move {
  organizationIds: string[]
  actor: Actor
}

export function vaultJobs(deps: VaultDeps): JobKind[] {
  const { db, vault } = deps
  const rewrap: JobKind<RewrapJob> = {
    kind: rewrapKind,
    lane: 'backfill',
    maxAttempts: 20,
    timeoutSeconds: 6 * 3600,
    async run(move, { signal, log }) {
      await vault.refresh(db)
      if (!vault.ring.now().keys.has(move.keyId)) {
        return { snoozeSeconds: 5, reason: `The key "${move.keyId}" is not in the key file of the process that works.` }
      }
      await startMove(db, vault, move)
      await vault.refresh(db)
      const stuck = await moveAll(db, vault, move, () => signal.throwIfAborted())
      if (move.compromised.length > 0) await tellExposed(deps, move, signal)
      const [first] = stuck
      if (first) return { cancel: `${stuck.length} secret(s) stay under their old key. ${first.message}` }
      await finish(deps, move)
      log.info({ keyId: move.keyId }, 'every secret stands under the key')
    }
  }
  return [rewrap, renewJob(deps)] as JobKind[]
}

/** Once, though the job may be run again. */
async function finish({ db, vault }: VaultDeps, { keyId, organizationIds, actor }: RewrapJob): Promise<void> {
  await db.transaction().execute(async trx => {
    const left = await finishMove(trx)
    if (left.length > 0) await note(trx, vault, organizationIds, { actor, keyId, detail: { phase: 'end', left } })
  })
}

async function note(
  trx: Db,
  vault: VaultDeps['vault'],
  organizationIds: readonly string[],
  { actor, keyId, detail }: { actor: Actor; keyId: string; detail: Record<string, unknown> }
): Promise<void> {
  for (const organizationId of organizationIds.toSorted()) {
    await appendAudit(trx, vault, {
      organizationId,
      actor,
      action: 'vault.rewrap',
      object: { kind: 'ring_key', id: keyId, name: keyId },
      detail
    })
  }
}

export function vaultServices(deps: VaultDeps): OperatorVault {
  const { db, vault } = deps
  return {
    async keyRing() {
      await vault.refresh(db)
      const exposed = await exposedSecrets(db, { after: '', limit: mostExposed })
      return {
        keys: await keyUses(db, vault.ring),
        inFront: vault.ring.now().current.id,
        rewrap: await underWay(db),
        exposed: exposed.map(({ id, purpose, installation_id: installationId, exposed_at: since }) => ({
          id,
          purpose,
          installationId,
          since,
          remedy: remedyOf(purpose)
        }))
      }
    },
    startRewrap: (actor, asked) => startRewrap(deps, actor, asked),
    async rewrap(jobId) {
      const found = jobId === null ? await underWay(db) : await rewrapOf(db, jobId)
      if (found === null) throw new AppError('not_found', 'No secrets are being moved to another key.')
      return found
    }
  }
}

async function startRewrap({ db, vault }: VaultDeps, actor: Actor, { keyId, compromised = [] }: NewRewrap): Promise<Rewrap> {
  await vault.refresh(db)
  await refuseMissingKeys(db, vault.ring)
  const { keys, current } = vault.ring.now()
  const to = keyId ?? current.id
  if (!keys.has(to)) {
    throw new AppError('conflict', `The key "${to}" is not in the key file that this server reads.`, {
      remedy: 'Bring the key file to every server first, then run the command again.'
    })
  }
  await refuseKeys(db, to, compromised, [...keys.keys()])
  const waiting = (await unfinished(db)).find(({ move }) => move.keyId === to && compromised.every(id => move.compromised.includes(id)))
  if (waiting) return await progressOf(db, waiting)
  const from = (await keysInUse(db)).filter(id => id !== to)
  const sealing = await db.selectFrom('ring_key').select('id').where('state', '!=', 'left').execute()
  if (from.length === 0 && compromised.length === 0 && sealing.every(({ id }) => id === to)) {
    return { jobId: null, running: false, keyId: to, ...(await moveProgress(db, to)), error: null }
  }
  const organizationIds = await organizationsElsewhere(db, to)
  const move: RewrapJob = { keyId: to, compromised, organizationIds, actor }
  const jobId = await db.transaction().execute(async trx => {
    const id = await enqueue(trx, { kind: rewrapKind, lane: 'backfill', key: rewrapKind, payload: move })
    await note(trx, vault, organizationIds, { actor, keyId: to, detail: { phase: 'start', from, compromised } })
    return id
  })
  return { jobId, running: true, keyId: to, ...(await moveProgress(db, to)), error: null }
}

async function refuseKeys(db: Db, to: string, compromised: readonly string[], onRing: readonly string[]): Promise<void> {
  const rows = await db.selectFrom('ring_key').select(['id', 'compromised_at']).execute()
  if (compromised.includes(to) || rows.some(row => row.id === to && row.compromised_at !== null)) {
    throw new AppError('invalid', `The key "${to}" is compromised and cannot be the one that seals.`, {
      remedy: 'Put a new key in front: npx quayside keys rotate --new'
    })
  }
  const known = new Set([...onRing, ...rows.map(({ id }) => id)])
  const stranger = compromised.find(id => !known.has(id))
  if (stranger !== undefined) {
    throw new AppError('not_found', `No key "${stranger}" ever sealed anything here.`, { remedy: 'See: npx quayside keys status' })
  }
}

interface Unfinished {
  id: number
  move: RewrapJob
  error: string | null
  running: boolean
}

async function unfinished(db: Db): Promise<Unfinished[]> {
  const rows = await db
    .selectFrom('job')
    .select(['id', 'payload_json', 'error'])
    .where('key', '=', rewrapKind)
    .where('finished_at', 'is', null)
    .orderBy('id')
    .execute()
  return rows.map(({ id, payload_json: json, error }) => ({ id, move: JSON.parse(json) as RewrapJob, error, running: true }))
}

async function underWay(db: Db): Promise<Rewrap | null> {
  const [first] = await unfinished(db)
  return first ? await progressOf(db, first) : null
}

async function rewrapOf(db: Db, jobId: number): Promise<Rewrap | null> {
  const query = db.selectFrom('job').select(['id', 'payload_json', 'error', 'finished_at'])
  const row = await query.where('id', '=', jobId).where('kind', '=', rewrapKind).executeTakeFirst()
  if (!row) return null
  const move = JSON.parse(row.payload_json) as RewrapJob
  return await progressOf(db, { id: row.id, move, error: row.error, running: row.finished_at === null })
}

async function progressOf(db: Db, { id, move, error, running }: Unfinished): Promise<Rewrap> {
  return { jobId: id, running, keyId: move.keyId, ...(await moveProgress(db, move.keyId)), error }
}
