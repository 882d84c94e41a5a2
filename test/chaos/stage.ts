// The stage of one seed: the sandbox, Quayside, and the database outside, with three outbound syncs and one inbound in place. Each
// stage stands alone, so that several seeds can be played beside each other.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { Stack } from '../../sandbox/world/model.ts'
import { ada, harbourPublishing } from '../../sandbox/world/people.ts'
import { lookAfterWebhooks } from '../../server/app/jobs.ts'
import type { Actor } from '../../server/audit/audit.ts'
import type { Row } from '../../server/database/schema.ts'
import { createLog, type Log, silentLog } from '../../server/log.ts'
import { createConnection } from '../../server/sync/connections.ts'
import { createSyncs } from '../../server/sync/create.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { appsOf, connectBlog } from '../support/connected.ts'
import { administer, databaseUrl } from '../support/postgres.setup.ts'
import { ask, logIn, type Reply, startSandbox } from '../support/sandbox.ts'
import { openQuayside, type Quayside } from './quayside.ts'
import { contentTypes, type Scenario } from './steps.ts'
import { openPostgresTables, openSqliteTables, sourceTable, type Tables } from './tables.ts'

export interface Ground {
  /** Of the PostgreSQL server's maintenance database. */
  postgresUrl: string
  /** A migrated database to copy for Quayside's own; left out: it migrates an empty one. */
  postgresTemplate?: string
  /** Where the server's log goes; left out: nowhere. */
  logTo?: (line: string) => void
}

export interface Stage {
  sandbox: Sandbox
  stack: Stack
  quayside: Quayside
  tables: Tables
  installation: Row<'installation'>
  /** In the order of creation: one per content type outbound, then the inbound one. */
  syncs: { id: string; direction: 'outbound' | 'inbound'; contentType: (typeof contentTypes)[number] }[]
  /** A person in the CMS; faults pass them by. */
  cms<T = { entry: { uid: string } }>(method: string, path: string, body?: unknown): Promise<Reply<T>>
  close(): Promise<void>
}

export const person: Actor = { kind: 'admin', id: 'ada', name: 'Ada Admin' }
/** In the query of a person's requests, so that a fault's pattern can leave them alone. */
const markOfPeople = 'chaos_person=1'
export const notOfPeople = `^(?!.*${markOfPeople})`

export async function openStage(scenario: Scenario, ground: Ground, plant: (stack: Stack) => void): Promise<Stage> {
  const cleanups: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const cleanup of cleanups.toReversed()) await cleanup()
  }
  try {
    return await raise(scenario, ground, plant, cleanups, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function raise(
  { seed, dialect, locales, sortedPaging }: Scenario,
  { postgresUrl, postgresTemplate = 'template0', logTo }: Ground,
  plant: (stack: Stack) => void,
  cleanups: (() => Promise<unknown>)[],
  close: () => Promise<void>
): Promise<Stage> {
  const log: Log = logTo ? createLog('debug', { write: logTo }) : silentLog
  const folder = await mkdtemp(join(tmpdir(), `quayside-chaos-${seed}-`))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const filesDirectory = join(folder, 'files')
  await mkdir(filesDirectory)
  // Limits that slow nothing down and say so in their headers: our own budget follows those.
  const sandbox = await startSandbox({
    limits: { read: 100_000, write: 100_000, bulk: 100_000 },
    plays: { sortedPaging },
    world: ({ stacks }) => plant(stacks[blogApiKey]!)
  })
  cleanups.push(() => sandbox.close())
  const fresh = async (what: string, template: string): Promise<string> => {
    const name = `chaos_${process.pid}_${seed}_${what}_${Math.random().toString(36).slice(2, 8)}`
    await administer(postgresUrl, `create database ${name} template ${template}`)
    cleanups.push(() => administer(postgresUrl, `drop database if exists ${name} with (force)`))
    return databaseUrl(postgresUrl, name)
  }
  const ownUrl = dialect === 'sqlite' ? `sqlite:${join(folder, 'quayside.db')}` : await fresh('own', postgresTemplate)
  const tables =
    dialect === 'sqlite' ? await openSqliteTables(filesDirectory) : await openPostgresTables(await fresh('outside', 'template0'))
  cleanups.push(() => tables.close())
  const quayside = await openQuayside(
    {
      production: false,
      host: '127.0.0.1',
      databaseUrl: ownUrl,
      anchorFile: join(folder, 'audit-anchors.jsonl'),
      filesDirectory,
      privateHosts: ['127.0.0.1'],
      trustedProxies: ['loopback'],
      role: 'all',
      workers: 4,
      logLevel: 'debug',
      organizations: [{ region: 'sandbox', organizationUid: harbourPublishing, name: 'Harbour Publishing' }]
    },
    { keyRing: parseKeyRing(generateKeyRing()), apps: appsOf(sandbox), identityProviders: [] },
    log
  )
  cleanups.push(() => quayside.close())
  const { deps } = quayside
  const { installation } = await connectBlog(sandbox, deps.database, deps)
  await lookAfterWebhooks(deps)
  const connection = await createConnection(deps.db, deps, {
    installation,
    actor: person,
    connection: { connector: 'sql', name: 'Outside', settings: tables.settings, secrets: tables.secrets }
  })
  const make = async (sync: {
    direction: 'outbound' | 'inbound'
    contentTypes: string[]
    target: string
    locales?: string[]
    externalIdField?: string
  }) => await createSyncs(deps.db, deps, { installation, actor: person, sync: { connectionId: connection.id, ...sync } })
  const syncs = [
    ...(await make({ direction: 'outbound', contentTypes: [...contentTypes], target: 'out_', locales })),
    ...(await make({ direction: 'inbound', contentTypes: ['country'], target: sourceTable, externalIdField: 'code' }))
  ]
  const headers = { ...(await logIn(sandbox, ada)), api_key: blogApiKey }
  return {
    sandbox,
    stack: sandbox.world.stacks[blogApiKey]!,
    quayside,
    tables,
    installation,
    syncs: syncs.map(({ id, direction, content_type }) => ({ id, direction, contentType: content_type as (typeof contentTypes)[number] })),
    cms: (method, path, body) =>
      ask(`${sandbox.urls.contentManagement}/v3${path}${path.includes('?') ? '&' : '?'}${markOfPeople}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body })
      }),
    close
  }
}
