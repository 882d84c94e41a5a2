// A table of countries as a source and what became of its rows in the sandbox's blog.
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { Entry } from '../../sandbox/world/model.ts'
import type { StackClient } from '../../server/contentstack/stack.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import type { RunRow } from '../../server/sync/runs.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import type { StackUse } from '../../server/installations/credentials.ts'
import { person, type Stage } from './stage.ts'

export const inbound = { direction: 'inbound' as const, contentTypes: ['country'], target: 'land', externalIdField: 'code' }

export interface Lands {
  /** name null = the row is gone. */
  put(key: string, name: string | null): void
  entry(key: string): Entry | undefined
  fields(key: string): Record<string, unknown> | undefined
  keys(): string[]
  /** Accepted writes of the country type, by action. */
  writes(action?: string): number
  rerun(sync: SyncRow): Promise<RunRow>
  linksOf(sync: SyncRow): Promise<Map<string, { status: string; error: string | null; version: number; published_version: number }>>
}

export function landsOf(stage: Stage, count: number): Lands {
  stage.sql('create table land (cca3 text primary key, name text, capital text)')
  for (let index = 0; index < count; index++) insert(`L${String(index).padStart(3, '0')}`, `Land ${index}`)
  function insert(key: string, name: string): void {
    stage.sql('insert or replace into land values (?, ?, ?)', key, name, `Capital of ${name}`)
  }
  const entries = (): Entry[] => Object.values(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['country'] ?? {})
  const fieldsOf = (entry: Entry): Record<string, unknown> => entry.locales['en-us']?.versions.at(-1)?.fields ?? {}
  const entry = (key: string): Entry | undefined => entries().find(one => fieldsOf(one)['code'] === key)
  return {
    put: (key, name) => (name === null ? stage.sql('delete from land where cca3 = ?', key) : insert(key, name)),
    entry,
    fields: key => {
      const found = entry(key)
      return found && fieldsOf(found)
    },
    keys: () =>
      entries()
        .map(one => String(fieldsOf(one)['code']))
        .sort(),
    writes: action =>
      stage.sandbox.world.stacks[blogApiKey]!.writes.filter(
        write => write.contentType === 'country' && (action === undefined || write.action === action)
      ).length,
    async rerun(sync) {
      await startRunBy(stage.db, stage.deps, { sync, actor: person })
      await stage.drain()
      return await stage.lastRun(sync)
    },
    async linksOf(sync) {
      const rows = await stage.db.selectFrom('link').selectAll().where('sync_id', '=', sync.id).execute()
      return new Map(rows.map(row => [row.external_id, row]))
    }
  }
}

/** Runs until `call` of the stack has been carried out `times` times; then the process dies with the answer unheard. */
export async function dieAt(
  stage: Stage,
  call: 'createEntry' | 'deleteEntry' | 'publishEntries' | 'updateEntry',
  times: number
): Promise<void> {
  const died = Promise.withResolvers<void>()
  let calls = 0
  const worker = stage.worker(
    { concurrency: 1 },
    {
      async stackFor(id: string, use: StackUse) {
        const stack = await stage.deps.stackFor(id, use)
        const dying: StackClient = {
          ...stack,
          with: () => dying,
          async [call](...asked: unknown[]) {
            const answer = await (stack[call] as (...given: unknown[]) => Promise<unknown>)(...asked)
            calls += 1
            if (calls < times) return answer
            died.resolve()
            return await new Promise<never>((_, reject) =>
              use.signal?.addEventListener('abort', () => reject(new Error('the process died')))
            )
          }
        }
        return dying
      }
    }
  )
  worker.start()
  await died.promise
  await worker.stop()
}
