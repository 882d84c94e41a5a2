// Compares what stands with what must stand, in words: rows against entries, entries against the source, runs against themselves,
// and the sandbox's write log against the promise that nothing is written twice. [] = all is well.
import { fieldsOf, type Fields, type Model, type ModelEntry, rowsOf, sourceFields, type TypeName } from './model.ts'
import type { Stage } from './stage.ts'

/** Columns that a remapped sync no longer carries, by sync id. */
export type Unmapped = ReadonlyMap<string, readonly string[]>

export async function judge(
  stage: Stage,
  model: Model,
  locales: readonly string[],
  unmapped: Unmapped,
  strict: boolean
): Promise<string[]> {
  return [
    ...(await rowsDiffer(stage, model, locales, unmapped)),
    ...entriesDiffer(stage, model, strict),
    ...writtenTwice(stage),
    ...(await runsDisagree(stage, model)),
    ...(await leftBehind(stage))
  ]
}

/**
 * How many rows more may go within a day without a person (server/sync/brake.ts, said again here on purpose); `gone`: those that
 * went so far, whoever met them.
 */
const allowance = (rows: number, gone: number): number => Math.max(0, Math.max(25, Math.floor((rows + gone) / 5)) - gone)

async function rowsDiffer(stage: Stage, model: Model, locales: readonly string[], unmapped: Unmapped): Promise<string[]> {
  const found: string[] = []
  for (const sync of stage.syncs.filter(({ direction }) => direction === 'outbound')) {
    const type = sync.contentType
    const entries = type === 'country' ? worldEntries(stage, 'country') : model.entries[type].values()
    const wanted = rowsOf(type, entries, locales)
    const columns = [...fieldsOf[type].localized, ...fieldsOf[type].shared].filter(name => !unmapped.get(sync.id)?.includes(name))
    const rows = await stage.tables.rows(`out_${type}`)
    const met = new Set<string>()
    const tooMany: string[] = []
    for (const row of rows) {
      const key = `${String(row['entry_uid'])}:${String(row['locale'])}`
      if (met.has(key)) found.push(`${type} ${key} stands there twice`)
      met.add(key)
      const should = wanted.get(key)
      if (!should) tooMany.push(key)
      else {
        const wrong = columns.filter(name => should[name] !== undefined && plain(row[name]) !== plain(should[name]))
        for (const name of wrong) found.push(`${type} ${key}: ${name} is ${String(row[name])}, must be ${String(should[name])}`)
      }
    }
    for (const key of wanted.keys()) if (!met.has(key)) found.push(`${type} ${key} is missing`)
    if (tooMany.length === 0) continue
    const last = await lastRun(stage, sync.id)
    const asks = last?.status === 'partial' && last.error !== null
    if (tooMany.length <= allowance(rows.length, await goneOf(stage, sync.id)))
      found.push(...tooMany.map(key => `${type} ${key} has no entry`))
    else if (!asks)
      found.push(`${type}: ${tooMany.length} of ${rows.length} rows have no entry, and its last run is ${last?.status} and asks nobody`)
  }
  return found
}

async function goneOf({ quayside }: Stage, syncId: string): Promise<number> {
  const { db } = quayside.deps
  const rows = db
    .selectFrom('run_record')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('sync_id', '=', syncId)
  return (await rows.where('outcome', '=', 'deleted').where('approved', '=', 0).executeTakeFirst())?.count ?? 0
}

function entriesDiffer(stage: Stage, model: Model, strict: boolean): string[] {
  const found: string[] = []
  const byCode = new Map<string, Fields[]>()
  for (const { locales } of worldEntries(stage, 'country')) {
    const own = locales['en-us']
    if (own) byCode.set(String(own['code']), [...(byCode.get(String(own['code'])) ?? []), own])
  }
  for (const [code, entries] of byCode) {
    if (entries.length > 1) found.push(`${code} has ${entries.length} entries`)
    if (!model.codes.has(code)) found.push(`${code} has an entry and never was a record`)
  }
  for (const [code, record] of model.source) {
    if (record['title'] === '' || (!strict && model.touched.has(code))) continue
    const [entry] = byCode.get(code) ?? []
    if (!entry) found.push(`${code} has no entry`)
    else
      for (const name of sourceFields)
        if (plain(entry[name]) !== plain(record[name]))
          found.push(`${code}: ${name} is ${String(entry[name])} in its entry, ${String(record[name])} in the source`)
  }
  return found
}

/** engine.md §1: a second successful write of one content with no change between. Versions follow each other, so it shows there. */
export function writtenTwice({ stack }: Pick<Stage, 'stack'>): string[] {
  const found: string[] = []
  const ours = new Set(
    stack.writes
      .filter(({ module, by }) => module === 'entry' && by.kind === 'management_token')
      .map(({ uid, locale, version }) => `${uid}:${locale}:${version}`)
  )
  for (const entry of Object.values(stack.entries['main']?.['country'] ?? {})) {
    for (const [locale, { versions }] of Object.entries(entry.locales)) {
      for (const [index, version] of versions.entries()) {
        const before = versions[index - 1]
        const both = before && ours.has(`${entry.uid}:${locale}:${before.version}`) && ours.has(`${entry.uid}:${locale}:${version.version}`)
        if (both && sourceFields.every(name => before.fields[name] === version.fields[name]))
          found.push(
            `entry ${entry.uid} (${String(version.fields['code'])}): version ${version.version} writes again what version ${before.version} wrote`
          )
      }
    }
  }
  return found
}

async function runsDisagree({ quayside, syncs }: Stage, model: Model): Promise<string[]> {
  const found: string[] = []
  const runs = await quayside.deps.db.selectFrom('run').selectAll().orderBy('id').execute()
  const poisoned = [...model.source.values()].filter(({ title }) => title === '').length
  for (const run of runs) {
    const { direction, contentType } = syncs.find(({ id }) => id === run.sync_id)!
    const what = `${direction} run ${run.id} of ${contentType} (${run.status}, read ${run.read}, written ${run.written}, skipped ${run.skipped}, failed ${run.failed}, deleted ${run.deleted}, error ${run.error})`
    if (!['success', 'partial'].includes(run.status)) found.push(`${what} did not end well`)
    if (run.status === 'success' && (run.failed > 0 || run.error !== null)) found.push(`${what} calls itself a success`)
    if (run.status === 'partial' && run.failed === 0 && run.error === null) found.push(`${what} does not say what is missing`)
    const sum = run.written + run.skipped + run.failed + run.deleted
    // What has vanished is looked at without having been read.
    const beyond = direction === 'inbound' ? 0 : run.deleted + run.written + run.failed
    if (sum < run.read || sum > run.read + beyond) found.push(`${what}: its counters do not add up`)
  }
  const inbound = syncs.find(({ direction }) => direction === 'inbound')
  const last = runs.findLast(run => run.sync_id === inbound?.id)
  if (last && (last.failed !== poisoned || last.read !== model.source.size))
    found.push(
      `the last inbound run read ${last.read} and failed ${last.failed}; the source has ${model.source.size} records, ${poisoned} of them not fit`
    )
  return found
}

async function leftBehind({ quayside, syncs }: Stage): Promise<string[]> {
  const { db } = quayside.deps
  const jobs = await db.selectFrom('job').select(['kind', 'state', 'attempt', 'error']).where('state', 'in', ['dead', 'running']).execute()
  const outbound = syncs.filter(({ direction }) => direction === 'outbound').map(({ id }) => id)
  const links = await db
    .selectFrom('link')
    .select(['external_id', 'status', 'error', 'claim_token'])
    .where('sync_id', 'in', outbound)
    .where(eb => eb.or([eb('error', 'is not', null), eb('claim_token', 'is not', null), eb('status', '=', 'failed')]))
    .execute()
  const intents = await db.selectFrom('intent').select('external_id').execute()
  return [
    ...jobs.map(job => `job ${job.kind} is ${job.state} after ${job.attempt}: ${job.error}`),
    ...links.map(link => `the link of ${link.external_id} is ${link.status}${link.claim_token ? ', claimed' : ''}: ${link.error}`),
    ...intents.map(intent => `an intent for ${intent.external_id} is left`)
  ]
}

async function lastRun({ quayside }: Stage, syncId: string) {
  return await quayside.deps.db.selectFrom('run').selectAll().where('sync_id', '=', syncId).orderBy('id', 'desc').executeTakeFirst()
}

/** As the sandbox holds them, for what our own syncs made there. */
export function worldEntries({ stack }: Pick<Stage, 'stack'>, type: TypeName): ModelEntry[] {
  return Object.values(stack.entries['main']?.[type] ?? {}).map(({ uid, locales }) => ({
    uid,
    locales: Object.fromEntries(Object.entries(locales).map(([locale, { versions }]) => [locale, versions.at(-1)!.fields as Fields]))
  }))
}

export const plain = (value: unknown): unknown => (typeof value === 'boolean' ? Number(value) : (value ?? null))
