// The real server, killed at random instants while it works in both directions, and started again. Between the deaths people edit
// entries and the source changes. In the end both sides must be equal, and the sandbox's write log, the one witness that never died,
// must show no second entry for a record and no second write of the same content.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import { giveGrant, install, logIn, openApp, type StackPages, until } from '../../sandbox/demo/admin.ts'
import { anyPorts } from '../../sandbox/demo/options.ts'
import { createPerson } from '../../sandbox/demo/person.ts'
import { setStage, type Stage } from '../../sandbox/demo/stage.ts'
import { destinationFile, sourceFile } from '../../sandbox/demo/syncs.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { plantEntries } from '../../sandbox/world/built-in-entries.ts'
import { ada, otto } from '../../sandbox/world/people.ts'
import { type DialectName, openDatabase } from '../../server/database/database.ts'
import type { Sync } from '../../server/http/contract/stack.ts'
import { administer, databaseUrl } from '../support/postgres.setup.ts'
import { plain, worldEntries, writtenTwice } from './judge.ts'
import { rowsOf, sourceFields } from './model.ts'
import type { Ground } from './stage.ts'

export interface KillOptions {
  dialect: DialectName
  kills: number
  seed: number
  told?: (line: string) => void
}

export interface Killed {
  problems: string[]
  /** Of those, how many found a run under way. */
  midRun: number
  /** Entry writes of Quayside in the sandbox's log. */
  writes: number
}

const products = 150
/** From the server's readiness to its death. */
const longestLifeMs = 500

/** Throws Error when the server does not come back or the runs do not end. */
export async function playKills({ dialect, kills, seed, told = () => {} }: KillOptions, { postgresUrl }: Ground): Promise<Killed> {
  const cleanups: (() => Promise<unknown>)[] = []
  try {
    const directory = await mkdtemp(join(tmpdir(), 'quayside-kills-'))
    cleanups.push(() => rm(directory, { recursive: true, force: true }))
    const name = `kills_${process.pid}_${seed}_${Math.random().toString(36).slice(2, 8)}`
    if (dialect === 'postgres') {
      await administer(postgresUrl, `create database ${name} template template0`)
      cleanups.push(() => administer(postgresUrl, `drop database if exists ${name} with (force)`))
    }
    const url = dialect === 'postgres' ? databaseUrl(postgresUrl, name) : `sqlite:${join(directory, 'quayside.db')}`
    const stage = await setStage({
      directory,
      ports: await anyPorts(),
      databaseUrl: url,
      sandbox: { limits: 'off', world: ({ stacks }) => plantProducts(stacks[blogApiKey]!) }
    })
    cleanups.push(() => stage.close())
    const admin = await admitted(stage)
    const [inbound, outbound] = await createBoth(admin.pages)
    const random = lcg(seed)
    let midRun = 0
    for (let kill = 1; kill <= kills; kill++) {
      await disturb(stage, admin.authtoken, random)
      for (const sync of [inbound, outbound]) await startRun(stage, admin.pages, sync)
      await new Promise(resolve => setTimeout(resolve, random() * longestLifeMs))
      await stage.server.kill()
      midRun += await timePasses(url)
      await stage.server.start()
      told(`kill ${kill} of ${kills} on ${dialect}: back, ${ourWrites(stage)} entry writes so far`)
    }
    // A run that was under way, then one that finds whatever the deaths have left undone.
    for (let round = 0; round < 2; round++) {
      for (const sync of [inbound, outbound]) await startRun(stage, admin.pages, sync)
      await runsOver(stage, admin.pages)
    }
    return { problems: await unequal(stage, admin.pages), midRun, writes: ourWrites(stage) }
  } finally {
    for (const cleanup of cleanups.toReversed()) await cleanup()
  }
}

function plantProducts(stack: Parameters<typeof plantEntries>[0]): void {
  const drafts = Array.from({ length: products }, (_, index) => ({
    contentType: 'product',
    name: `Rope ${index}`,
    locales: { 'en-us': { title: `Rope ${index}`, sku: `ROPE-${index}`, price: index, in_stock: true, description: '' } }
  }))
  plantEntries(stack, 'main', drafts, Date.parse('2024-06-01T00:00:00Z'), otto.uid)
}

async function admitted(stage: Stage): Promise<{ pages: StackPages; authtoken: string }> {
  const person = createPerson()
  const login = await logIn(person, stage.urls, ada)
  const { stack, app, urls, server } = stage
  const uid = await install(person, urls, login, app.appUid, stack.organizationUid, stack.apiKey)
  const pages = await openApp(person, urls, server.url, login, uid)
  await giveGrant(person, urls, login, app.appUid, stack.organizationUid, pages)
  return { pages: await openApp(person, urls, server.url, login, uid), authtoken: login.authtoken }
}

async function createBoth(pages: StackPages): Promise<[Sync, Sync]> {
  const connect = (name: string, file: string) =>
    pages.connect({ connector: 'sql', name, settings: { system: 'sqlite', file }, secrets: {} })
  const source = await connect('Source', sourceFile)
  const destination = await connect('Destination', destinationFile)
  const [inbound] = await pages.createSyncs({
    direction: 'inbound',
    connectionId: source.id,
    contentTypes: ['country'],
    target: 'countries',
    externalIdField: 'code'
  })
  const [outbound] = await pages.createSyncs({ direction: 'outbound', connectionId: destination.id, contentTypes: ['product'], target: '' })
  return [inbound!, outbound!]
}

/** A few records of the source and a few entries change. */
async function disturb({ stack, person, urls, filesDirectory }: Stage, authtoken: string, random: () => number): Promise<void> {
  const source = new BetterSqlite(join(filesDirectory, sourceFile))
  source.pragma('busy_timeout = 5000')
  const words = Math.floor(random() * 1e9)
  source.prepare(`update countries set capital = ? || code where rowid % 10 = ?`).run(`Town ${words} `, Math.floor(random() * 10))
  source.close()
  const entries = worldEntries({ stack }, 'product')
  for (let edit = 0; edit < 3; edit++) {
    const { uid } = entries[Math.floor(random() * entries.length)]!
    const json = { entry: { title: `Rope ${words}-${edit}`, price: words + edit } }
    const headers = { authtoken, api_key: stack.apiKey }
    await person.ask(`${urls.contentManagement}/v3/content_types/product/entries/${uid}`, { method: 'PUT', headers, json })
  }
}

async function startRun({ person, server }: Stage, { headers }: StackPages, sync: Sync): Promise<void> {
  await person.ask(`${server.url}/api/extension/stack/syncs/${sync.id}/run`, { method: 'POST', headers, json: {} })
}

/**
 * While it is down: enough time that leases, claims and the doubt about its last requests are over. These have landed by then: the
 * sandbox answers within milliseconds. Returns 1 when a run was under way, else 0.
 */
async function timePasses(url: string): Promise<number> {
  await new Promise(resolve => setTimeout(resolve, 50))
  const { db, close } = await openDatabase(url)
  await db.updateTable('job').set({ lease_until: 0 }).where('state', '=', 'running').execute()
  // Tries that waited for their next turn, and those a death has cost: twenty deaths of one run are not what is tried here.
  await db.updateTable('job').set({ run_at: 0, attempt: 0 }).where('state', 'in', ['ready', 'running']).execute()
  await db.updateTable('link').set({ claim_until: 0 }).where('claim_until', 'is not', null).execute()
  await db
    .updateTable('intent')
    .set(eb => ({ created_at: eb('created_at', '-', 60_000) }))
    .execute()
  const running = await db.selectFrom('run').select('id').where('status', '=', 'running').executeTakeFirst()
  await close()
  return running ? 1 : 0
}

async function runsOver(stage: Stage, pages: StackPages): Promise<void> {
  await until(
    'the runs to be over',
    async () => ((await pages.runs()).some(({ status }) => ['queued', 'running'].includes(status)) ? null : true),
    120
  )
}

async function unequal(stage: Stage, pages: StackPages): Promise<string[]> {
  const found = writtenTwice(stage)
  const source = new BetterSqlite(join(stage.filesDirectory, sourceFile), { readonly: true })
  const records = source.prepare('select * from countries').all() as Record<string, unknown>[]
  source.close()
  const byCode = Map.groupBy(worldEntries(stage, 'country'), ({ locales }) => String(locales['en-us']?.['code']))
  for (const record of records) {
    const entries = byCode.get(String(record['code'])) ?? []
    if (entries.length !== 1) found.push(`${String(record['code'])} has ${entries.length} entries`)
    for (const name of sourceFields)
      if (plain(entries[0]?.locales['en-us']?.[name]) !== plain(record[name])) found.push(`${String(record['code'])}: ${name} differs`)
  }
  if (byCode.size !== records.length) found.push(`${byCode.size} codes in the stack, ${records.length} records in the source`)
  const destination = new BetterSqlite(join(stage.filesDirectory, destinationFile), { readonly: true })
  const rows = destination.prepare('select * from product').all() as Record<string, unknown>[]
  destination.close()
  const wanted = rowsOf('product', worldEntries(stage, 'product'), [])
  for (const row of rows) {
    const should = wanted.get(`${String(row['entry_uid'])}:${String(row['locale'])}`)
    if (!should || plain(row['title']) !== plain(should['title']) || plain(row['price']) !== plain(should['price']))
      found.push(`product ${String(row['entry_uid'])} is ${String(row['title'])}, must be ${String(should?.['title'])}`)
  }
  if (rows.length !== wanted.size) found.push(`${rows.length} rows of products, ${wanted.size} in the stack`)
  for (const { status, syncName, error } of (await pages.runs()).slice(0, 2))
    if (status !== 'success') found.push(`the last run of ${syncName} is ${status}: ${error}`)
  return found
}

const ourWrites = ({ stack }: Stage): number =>
  stack.writes.filter(({ module, by }) => module === 'entry' && by.kind === 'management_token').length

/** Instants need no better randomness than this. */
function lcg(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
}
