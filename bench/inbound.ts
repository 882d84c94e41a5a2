// inbound-writes-LIMITER: records of a SQL table written as new entries, limits on, for each way in which the platform may count
// its ten writes a second. Two lines: how many a second, beside the limit; and the share of requests answered 429, beside a loop
// that keeps eight requests on their way and simply repeats what was refused.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Run } from '../server/http/contract/stack.ts'
import { recordType } from './articles.ts'
import { until } from '../sandbox/demo/admin.ts'
import { type Ground, openGround, runOf } from './ground.ts'
import { type Case, result } from './result.ts'

const writesPerSecond = 10
const plainSeconds = 5

export function inboundWrites(limiter: 'fixed' | 'sliding' | 'bucket', records: number): Case {
  return {
    name: `inbound-writes-${limiter}-${records}`,
    about: `${records} records written as entries, ten writes a second by ${limiter === 'bucket' ? 'a bucket' : `a ${limiter} window`}`,
    async run({ profileDirectory }) {
      const ground = await openGround({ entries: 1, limits: 'on', profileDirectory })
      try {
        await ground.control('/plays', { limiter })
        writeRecords(join(ground.filesDirectory, 'bench.db'), records)
        const before = await ground.writes(recordType)
        const [sync] = await ground.pages.createSyncs({
          direction: 'inbound',
          connectionId: ground.connectionId,
          contentTypes: [recordType],
          target: 'records',
          externalIdField: 'code'
        })
        if (!sync) throw new Error('No sync was made.')
        const run = await runOf(ground, sync, records / 5 + 30)
        const after = await ground.writes(recordType)
        const written = after.acceptedAt.length - before.acceptedAt.length
        if (written !== records) throw new Error(`The stack accepted ${written} writes for ${records} records.`)
        const rssMiB = await ground.peakRssMiB()
        const seconds = ((run.finishedAt ?? Number.NaN) - run.createdAt) / 1000
        const share = ((after.refused - before.refused) / (after.writes - before.writes)) * 100
        const plain = await plainShare(ground)
        return [
          result(this.name, written / seconds, 'entries/s', { name: 'the limit', value: writesPerSecond }, rssMiB),
          result(
            `inbound-429-share-${limiter}-${records}`,
            share,
            '%',
            { name: 'plain loop, eight at once, repeating on 429', value: plain },
            rssMiB
          )
        ]
      } finally {
        await ground.close()
      }
    }
  }
}

/** The same table once more, nothing in it changed: what it costs to see that. */
export function inboundUnchanged(records: number): Case {
  return {
    name: `inbound-unchanged-${records}`,
    about: `${records} records looked at again, none of them changed; limits off`,
    async run({ profileDirectory }) {
      const ground = await openGround({ entries: 1, limits: 'off', profileDirectory })
      try {
        const file = join(ground.filesDirectory, 'bench.db')
        writeRecords(file, records)
        const [sync] = await ground.pages.createSyncs({
          direction: 'inbound',
          connectionId: ground.connectionId,
          contentTypes: [recordType],
          target: 'records',
          externalIdField: 'code'
        })
        if (!sync) throw new Error('No sync was made.')
        await runOf(ground, sync, records / 50 + 60)
        const before = await ground.writes(recordType)
        const { body: again } = await ground.person.ask<Run>(`${ground.server}/api/extension/stack/syncs/${sync.id}/run`, {
          method: 'POST',
          headers: ground.pages.headers,
          json: {}
        })
        const run = await until(
          'the second run',
          async () => (await ground.pages.runs()).find(({ id, finishedAt }) => id === again.id && finishedAt !== null) ?? null,
          records / 1_000 + 60
        )
        const writes = (await ground.writes(recordType)).writes - before.writes
        const seconds = ((run.finishedAt ?? Number.NaN) - run.createdAt) / 1000
        const rssMiB = await ground.peakRssMiB()
        return [
          result(this.name, seconds, 's', { name: 'the bare table read', value: readAll(file) }, rssMiB),
          result(`inbound-unchanged-writes-${records}`, writes, 'writes', { name: 'records', value: records }, rssMiB)
        ]
      } finally {
        await ground.close()
      }
    }
  }
}

/** Seconds. */
function readAll(file: string): number {
  const database = new Database(file, { readonly: true })
  const startedAt = performance.now()
  database.prepare('select * from records').all()
  database.close()
  return (performance.now() - startedAt) / 1000
}

function writeRecords(file: string, records: number): void {
  const database = new Database(file)
  try {
    database.exec('create table records (code text primary key, title text not null, body text, amount real, open boolean)')
    const insert = database.prepare('insert into records values (?, ?, ?, ?, ?)')
    database.transaction(() => {
      for (let index = 0; index < records; index++) insert.run(`R-${index}`, `Record ${index}`, 'text '.repeat(40), index / 4, index % 2)
    })()
  } finally {
    database.close()
  }
}

/** Percent of requests refused to a loop without a budget. */
async function plainShare({ urls, stack, ada }: Ground): Promise<number> {
  const until = performance.now() + plainSeconds * 1000
  let sent = 0
  let refused = 0
  let next = 0
  const loop = async () => {
    while (performance.now() < until) {
      next += 1
      const code = `plain-${next}`
      for (let status = 429; status === 429 && performance.now() < until; ) {
        const response = await fetch(`${urls.contentManagement}/v3/content_types/${recordType}/entries`, {
          method: 'POST',
          headers: { authtoken: ada.authtoken, api_key: stack.apiKey, 'content-type': 'application/json' },
          body: JSON.stringify({ entry: { title: code, code } })
        })
        await response.arrayBuffer()
        status = response.status
        sent += 1
        if (status !== 429) continue
        refused += 1
        await new Promise(resolve => setTimeout(resolve, 300))
      }
    }
  }
  await Promise.all(Array.from({ length: 8 }, loop))
  return (refused / sent) * 100
}
