// Plays one scenario: each step on the stage and, where it changes what must stand, in the model. Then the weather clears, whatever
// was delayed arrives, every sync runs once more, and both sides are judged; at last each record that people fought over changes in
// the source, so that nothing is left undecided, and all is judged again.
import { plantEntries } from '../../sandbox/world/built-in-entries.ts'
import type { Stack } from '../../sandbox/world/model.ts'
import { otto } from '../../sandbox/world/people.ts'
import { isAppError } from '../../server/errors.ts'
import { pasteToken } from '../../server/installations/paste.ts'
import { startRun } from '../../server/sync/runs.ts'
import { syncNow } from '../../server/sync/record-jobs.ts'
import { findSync, mappingOf, pauseSync, resumeSync } from '../../server/sync/sync.ts'
import { judge, worldEntries } from './judge.ts'
import { createModel, type Fields, master, type Model, type ModelEntry, type TypeName, write } from './model.ts'
import { type Ground, notOfPeople, openStage, person, type Stage } from './stage.ts'
import type { Scenario, Step } from './steps.ts'

/** Enough to get past the brake of a run when many go at once. */
const ballast = 40
const firstRecords = 8
/** Left out by a remapped sync, and taken in again by the next. */
const optional: Record<TypeName, string> = { product: 'description', author: 'biography', country: 'capital' }

interface Play extends Stage {
  scenario: Scenario
  model: Model
  unmapped: Map<string, string[]>
  /** Grows with each value, so that no two are the same. */
  count: number
  beside: Promise<void>[]
}

/** What is wrong in the end; [] = the seed stands. Throws what a step throws that must not. */
export async function play(scenario: Scenario, ground: Ground, told: (step: Step) => void = () => {}): Promise<string[]> {
  const stage = await openStage(scenario, ground, plant)
  const here: Play = Object.assign(Object.create(stage) as Stage, {
    scenario,
    model: createModel(),
    unmapped: new Map(),
    count: 0,
    beside: []
  })
  try {
    for (const entry of worldEntries(stage, 'author')) here.model.entries.author.set(entry.uid, entry)
    for (let index = 0; index < firstRecords; index++) await keepRecord(here, codeOf(index), newRecord(here))
    for (const step of scenario.steps) {
      told(step)
      await take(here, step)
    }
    await clearUp(here)
    const problems = await judge(here, here.model, scenario.locales, here.unmapped, false)
    if (problems.length > 0) return problems
    for (const code of here.model.touched) if (here.model.source.has(code)) await keepRecord(here, code, newRecord(here))
    await runAll(here)
    await runAll(here)
    return await judge(here, here.model, scenario.locales, here.unmapped, true)
  } finally {
    await Promise.allSettled(here.beside)
    await stage.close()
  }
}

function plant(stack: Stack): void {
  for (const type of ['product', 'author', 'country']) stack.entries['main']![type] = {}
  const drafts = Array.from({ length: ballast }, (_, index) => ({
    contentType: 'author',
    name: `Ballast ${index}`,
    locales: { 'en-us': { title: `Ballast ${index}`, email: `ballast${index}@x.example`, staff: index % 2 === 0 } }
  }))
  plantEntries(stack, 'main', drafts, Date.parse('2024-06-01T00:00:00Z'), otto.uid)
}

async function take(here: Play, step: Step): Promise<void> {
  const { model, quayside, sandbox, installation, scenario } = here
  const { deps } = quayside
  switch (step.do) {
    case 'create': {
      const fields = newFields(here, step.type)
      const { body } = await cms(here, 'POST', `/content_types/${step.type}/entries`, { entry: fields })
      model.entries[step.type].set(body.entry.uid, { uid: body.entry.uid, locales: { [master]: fields } })
      return
    }
    case 'edit':
      return await editEntry(here, step.type, step.pick, null)
    case 'localize':
      return await editEntry(here, step.type, step.pick, step.locale)
    case 'unlocalize':
      return await unlocalize(here, step)
    case 'delete': {
      const entry = chosen(here, step.type, step.pick)
      if (entry) await deleteEntry(here, step.type, entry)
      return
    }
    case 'publish':
    case 'unpublish': {
      const entry = chosen(here, step.type, step.pick)
      const json = { entry: { environments: ['development'], locales: [master] }, locale: master }
      if (entry) await cms(here, 'POST', `/content_types/${step.type}/entries/${entry.uid}/${step.do}`, json)
      return
    }
    case 'purge': {
      const lost = sandbox.context.faults.add({ kind: 'drop', pathPattern: 'entries\\.delete', times: 1000 })
      for (const entry of [...model.entries.author.values()].slice(0, step.count)) await deleteEntry(here, 'author', entry)
      sandbox.context.faults.remove(lost.id)
      return
    }
    case 'source-insert':
      return await keepRecord(here, codeOf(model.codes.size), newRecord(here))
    case 'source-update':
    case 'source-delete':
    case 'source-poison': {
      const codes = [...model.source.keys()]
      const code = codes[step.pick % Math.max(1, codes.length)]
      if (code === undefined) return
      const record = newRecord(here)
      if (step.do === 'source-poison') record['title'] = ''
      return await keepRecord(here, code, step.do === 'source-delete' ? null : record)
    }
    case 'pause':
      await pauseSync(deps.db, deps, { installationId: installation.id, id: syncAt(here, step.sync).id, actor: person })
      return
    case 'resume':
      await resumeSync(deps.db, deps, { installationId: installation.id, id: syncAt(here, step.sync).id, actor: person })
      return
    case 'run':
      return await run(here, syncAt(here, step.sync).id)
    case 'remap':
      return await remap(here, step.sync)
    case 'sync-now': {
      const entry = chosen(here, 'product', step.pick)
      if (!entry) return
      const record = { installationId: installation.id, contentType: 'product', entryUid: entry.uid, locale: master, branch: 'main' }
      await deps.db.transaction().execute(trx => syncNow(trx, { ...record, personName: person.name }))
      return
    }
    case 'revoke-token':
      for (const token of Object.values(here.stack.managementTokens))
        if (!token.dead) Object.assign(token, { dead: true, deadSince: sandbox.clock.iso() })
      return
    case 'replace-token':
      // Under bad weather a person tries again later: the end of the seed does.
      await replaceToken(here).catch((error: unknown) => {
        if (!isAppError(error) || !['upstream', 'rate_limited', 'invalid', 'unauthorized'].includes(error.code)) throw error
      })
      return
    case 'fault':
      sandbox.context.faults.add({
        kind: step.kind,
        host: 'contentManagement',
        pathPattern: notOfPeople,
        times: step.times,
        skip: step.skip,
        delayMs: 20
      })
      return
    case 'webhooks':
      sandbox.context.faults.add({ kind: step.kind, times: step.times, delayMs: 5000 })
      return
    case 'deliver':
      sandbox.clock.advance(6000)
      return await sandbox.settleWebhooks()
    case 'work':
      await Promise.all(here.beside.splice(0))
      return await quayside.drain()
    case 'work-beside': {
      const draining = quayside.drain()
      draining.catch(() => {})
      here.beside.push(draining)
      return
    }
    case 'crash':
      return await quayside.crash(step.afterMs)
    case 'restart':
      await Promise.all(here.beside.splice(0))
      return await quayside.restart()
    default:
      throw new Error(`seed ${scenario.seed} has an unknown step ${JSON.stringify(step satisfies never)}`)
  }
}

/** Until nothing more will come: then a run of every sync, which must find what no webhook told. */
async function clearUp(here: Play): Promise<void> {
  const { quayside, sandbox, installation, syncs } = here
  sandbox.context.faults.clear()
  if (!Object.values(here.stack.managementTokens).some(({ dead }) => !dead)) await replaceToken(here)
  await Promise.all(here.beside.splice(0))
  await quayside.drain()
  // One that died unseen is found dead by the first who asks; only then does a new one release what waits.
  const { deps } = quayside
  if (await deps.db.selectFrom('job_hold').selectAll().executeTakeFirst()) await replaceToken(here)
  for (const { id } of syncs) await resumeSync(deps.db, deps, { installationId: installation.id, id, actor: person })
  // Repeats after 5 and 25 s. Those after minutes are left out: a webhook from the future would be refused.
  for (const milliseconds of [6_000, 26_000]) {
    sandbox.clock.advance(milliseconds)
    await sandbox.settleWebhooks()
    await quayside.drain()
  }
  await runAll(here)
}

async function runAll(here: Play): Promise<void> {
  for (const { id } of here.syncs) await run(here, id)
  await here.quayside.drain()
  // What the inbound run wrote comes back as webhooks.
  await here.sandbox.settleWebhooks()
  await here.quayside.drain()
}

async function run({ quayside }: Play, id: string): Promise<void> {
  const { db } = quayside.deps
  const sync = (await findSync(db, id))!
  if (sync.state === 'active') await db.transaction().execute(trx => startRun(trx, { sync, cause: 'reconcile', causedBy: 'chaos' }))
}

async function editEntry(here: Play, type: TypeName, pick: number, localized: string | null): Promise<void> {
  const entry = chosen(here, type, pick)
  if (!entry) return
  const held = Object.keys(entry.locales)
  const locale = localized ?? held[pick % held.length]!
  const fields = newFields(here, type)
  if (type === 'country') delete fields['code']
  touch(here, type, entry)
  await cms(here, 'PUT', `/content_types/${type}/entries/${entry.uid}?locale=${locale}`, { entry: fields })
  if (type !== 'country') write(entry, type, locale, fields)
}

async function unlocalize(here: Play, { type, pick, by }: Extract<Step, { do: 'unlocalize' }>): Promise<void> {
  const localized = everyEntry(here, type).filter(({ locales }) => Object.keys(locales).length > 1)
  const entry = localized[pick % Math.max(1, localized.length)]
  if (!entry) return
  const others = Object.keys(entry.locales).filter(locale => locale !== master)
  const locale = others[pick % others.length]!
  const path = `/content_types/${type}/entries/${entry.uid}`
  if (by === 'unlocalize') await cms(here, 'POST', `${path}/unlocalize?locale=${locale}`)
  else await cms(here, 'DELETE', `${path}?locale=${locale}`)
  delete entry.locales[locale]
}

async function deleteEntry(here: Play, type: TypeName, entry: ModelEntry): Promise<void> {
  touch(here, type, entry)
  await cms(here, 'DELETE', `/content_types/${type}/entries/${entry.uid}?delete_all_localized=true`)
  if (type !== 'country') here.model.entries[type].delete(entry.uid)
}

function touch({ model }: Play, type: TypeName, entry: ModelEntry): void {
  if (type === 'country') model.touched.add(String(entry.locales[master]?.['code']))
}

async function remap(here: Play, at: number): Promise<void> {
  const sync = syncAt(here, at)
  if (sync.direction === 'inbound') return
  const { db } = here.quayside.deps
  const row = (await findSync(db, sync.id))!
  const left = optional[sync.contentType]
  const without = mappingOf(row).filter(({ from }) => from !== left)
  const carried = without.length < mappingOf(row).length
  const mapping = carried ? without : [...without, { from: left, to: left, type: 'text' as const }]
  here.unmapped.set(sync.id, carried ? [left] : [])
  await db
    .updateTable('sync')
    .set({ mapping_json: JSON.stringify(mapping), revision: row.revision + 1 })
    .where('id', '=', row.id)
    .execute()
}

async function replaceToken(here: Play): Promise<void> {
  const { deps } = here.quayside
  const scope = [
    { module: 'content_type', acl: { read: true, write: true } },
    { module: 'branch', branches: ['main'], acl: { read: true } }
  ]
  const { body } = await cms(here, 'POST', '/stacks/management_tokens', {
    token: { name: `Token ${(here.count += 1)}`, scope }
  })
  await pasteToken(deps.db, deps, { installation: here.installation, token: body.token.token, actor: person })
}

async function keepRecord({ model, tables }: Play, code: string, record: Fields | null): Promise<void> {
  model.codes.add(code)
  if (record) model.source.set(code, { ...record, code })
  else model.source.delete(code)
  await tables.keep(code, record && { ...record, code })
}

/** Of what a person made: the part that is asked for. */
interface Made {
  entry: { uid: string }
  token: { token: string }
}

async function cms(here: Play, method: string, path: string, body?: unknown): Promise<{ body: Made }> {
  const reply = await here.cms<Made>(method, path, body)
  if (reply.status >= 300) throw new Error(`${method} ${path} of a person was answered ${reply.status}: ${JSON.stringify(reply.body)}`)
  return reply
}

const everyEntry = (here: Play, type: TypeName): ModelEntry[] =>
  type === 'country' ? worldEntries(here, 'country') : [...here.model.entries[type].values()]

function chosen(here: Play, type: TypeName, pick: number): ModelEntry | undefined {
  const entries = everyEntry(here, type)
  return entries[pick % Math.max(1, entries.length)]
}

const syncAt = ({ syncs }: Play, at: number) => syncs[at % syncs.length]!

const codeOf = (index: number): string => `C${String(index).padStart(3, '0')}`

function newFields(here: Play, type: TypeName): Fields {
  const n = (here.count += 1)
  switch (type) {
    case 'product':
      return { title: `Product ${n}`, sku: `SKU-${n}`, price: n, in_stock: n % 2 === 0, description: `<p>${n}</p>` }
    case 'author':
      return { title: `Author ${n}`, email: `a${n}@x.example`, staff: n % 2 === 0, biography: `Born in ${n}` }
    case 'country':
      return { title: `Realm ${n}`, capital: `Town ${n}` }
    default:
      return type satisfies never
  }
}

function newRecord(here: Play): Fields {
  const n = (here.count += 1)
  return { title: `Land ${n}`, capital: `City ${n}`, region: n % 2 === 0 ? 'Sea' : 'Shore', area: n, independent: n % 3 === 0 }
}
