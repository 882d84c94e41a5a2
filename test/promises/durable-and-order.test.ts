// Promises 1 and 2 of docs/design.md: what was acknowledged is kept, and a record only moves forward. The door is the real server's; what
// is on disk is read by another connection, and what a destination saw is kept by its own triggers. Processes killed at every instant:
// test/chaos.
import { afterEach, describe, expect, it } from 'vitest'
import { signBody } from '../../sandbox/webhooks/sign.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { createWorker } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { type RecordJob, recordJobKind, syncJobsForRecord } from '../../server/sync/record-jobs.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import { secretHeader, secretPurpose, signatureHeader } from '../../server/webhooks/receive.ts'
import { type House, openHouse } from '../http/house.ts'
import { openStage, person, plantAuthors, type Stage } from '../sync/stage.ts'
import { forEachDatabase } from '../support/databases.ts'

forEachDatabase((open, dialect) => {
  describe('promise 1: durable before 2xx', () => {
    let house: House
    afterEach(() => house.close())

    async function listening(): Promise<(version: number) => Promise<number>> {
      house = await openHouse(dialect)
      const { installationId, organizationId, stackApiKey } = house.harbour
      const webhook_secret_id = await house.vault.put(house.db, { organizationId, installationId, purpose: secretPurpose }, 'the-secret')
      await house.db.updateTable('installation').set({ webhook_secret_id }).where('id', '=', installationId).execute()
      // The house's own rows stand there already.
      await house.db.deleteFrom('delivery').execute()
      await house.db.deleteFrom('job').execute()
      const triggered_at = new Date().toISOString()
      return async version => {
        const data = { entry: { uid: 'blt0123456789abcdef', locale: 'en-us', _version: version }, content_type: { uid: 'article' } }
        const body = JSON.stringify({ module: 'entry', api_key: stackApiKey, event: 'update', triggered_at, data })
        const { status } = await fetch(`${house.app.url}/webhooks/content/${installationId}`, {
          method: 'POST',
          body,
          headers: {
            'content-type': 'application/json',
            [secretHeader]: 'the-secret',
            [signatureHeader]: await signBody(house.sandbox.world.signing.privatePem, Buffer.from(body))
          }
        })
        return status
      }
    }
    const onDisk = async () => ({
      deliveries: (await house.db.selectFrom('delivery').select('status').execute()).map(({ status }) => status),
      jobs: (await house.db.selectFrom('job').select('kind').execute()).map(({ kind }) => kind)
    })

    it('has the delivery and its job on disk when the 2xx leaves, and another process goes on with them', async () => {
      const send = await listening()
      expect(await send(2)).toBe(202)
      expect(await onDisk()).toEqual({ deliveries: ['dispatched'], jobs: ['sync.record'] })
      // Its acknowledgement was lost: it comes again, and is one all the same.
      expect(await send(2)).toBe(202)
      expect(await onDisk()).toEqual({ deliveries: ['dispatched'], jobs: ['sync.record'] })

      await house.app.close()
      const met: string[] = []
      const successor = createWorker({
        database: house.database,
        kinds: [
          {
            kind: recordJobKind,
            lane: 'live',
            maxAttempts: 1,
            timeoutSeconds: 10,
            run: async job => void met.push((job as RecordJob).entryUid)
          }
        ],
        concurrency: 1,
        log: silentLog
      })
      await successor.drain()
      await successor.stop()
      expect(met).toEqual(['blt0123456789abcdef'])
    })

    it('acknowledges nothing that it could not keep, and keeps no half of it', async () => {
      const send = await listening()
      await house.db.schema.alterTable('job').renameTo('job_away').execute()
      expect(await send(2)).toBeGreaterThanOrEqual(500)
      await house.db.schema.alterTable('job_away').renameTo('job').execute()
      expect(await onDisk()).toEqual({ deliveries: [], jobs: [] })
      expect(await send(2)).toBe(202)
      expect(await onDisk()).toEqual({ deliveries: ['dispatched'], jobs: ['sync.record'] })
    })
  })

  describe('promise 2: order per record', () => {
    let stage: Stage
    afterEach(() => stage.cleanUp())

    it('moves rows only forward under hints, edits and runs at once, and ends with what the stack has', async () => {
      stage = await openStage(await open())
      plantAuthors(stage.sandbox, 8)
      const sync = await stage.createOne({ contentTypes: ['author'], locales: ['en-us'] })
      stage.sql(
        `create table moved (_key integer primary key, of text, version integer);
         create trigger m1 after insert on author begin insert into moved (of, version) values (new._key, new.version); end;
         create trigger m2 after update on author begin insert into moved (of, version) values (new._key, new.version); end;`
      )
      const authors = () => stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author']!
      const uids = Object.keys(authors()).filter(uid => uid.startsWith('bltf'))
      const hint = (entryUid: string) =>
        stage.db.transaction().execute(trx =>
          syncJobsForRecord(trx, {
            installationId: stage.installation.id,
            contentType: 'author',
            entryUid,
            locale: 'en-us',
            branch: 'main',
            cause: 'webhook dlv_1'
          })
        )
      const [first, worker] = [stage.worker({ concurrency: 1 }), stage.worker({ concurrency: 8 })]
      // An answer that has long been overtaken when it arrives.
      const slow = uids[0]!
      const { faults } = stage.sandbox.context
      await stage.cms('PUT', `/content_types/author/entries/${slow}`, { entry: { title: 'Overtaken' } })
      await hint(slow)
      const held = faults.add({ kind: 'hold-answer', host: 'contentManagement', method: 'GET', pathPattern: `/author/entries/${slow}` })
      first.start()
      await faults.untilHit(held.id)
      await stage.cms('PUT', `/content_types/author/entries/${slow}`, { entry: { title: 'Newer' } })
      await hint(slow)
      await startRunBy(stage.db, stage.deps, { sync, actor: person })
      await worker.drain()
      faults.remove(held.id)
      await first.drain()
      worker.start()
      for (let round = 0; round < 5; round++) {
        await Promise.all(
          uids.map(async uid => {
            await stage.cms('PUT', `/content_types/author/entries/${uid}`, { entry: { title: `Round ${round} of ${uid}` } })
            await hint(uid)
            await hint(uid)
          })
        )
        if (round % 2 === 0) await startRunBy(stage.db, stage.deps, { sync, actor: person }).catch(() => 'one is under way')
      }
      await worker.drain({ until: Date.now() + 3_600_000 })
      for (const uid of uids) {
        const versions = [...stage.rows('moved').values()].filter(row => row['of'] === `${uid}:en-us`).map(row => Number(row['version']))
        expect(versions).toEqual(versions.toSorted((a, b) => a - b))
        const newest = authors()[uid]!.locales['en-us']!.versions.at(-1)!
        expect(stage.rows('author').get(`${uid}:en-us`)).toMatchObject({ version: newest.version, title: newest.fields['title'] })
        expect(versions.at(-1)).toBe(newest.version)
      }
    })
  })
})
