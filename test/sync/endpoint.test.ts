import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Row } from '../../server/database/schema.ts'
import { createConnection, getConnection, renewSecrets } from '../../server/sync/connections.ts'
import { pauseEndpoint } from '../../server/sync/endpoint.ts'
import { resumeSync } from '../../server/sync/sync.ts'
import { type Endpoint, openEndpoint } from '../connectors/webhook/endpoint.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, type Stage } from './stage.ts'

const secret = `whsec_${Buffer.from('s'.repeat(32)).toString('base64')}`
const former = `whsec_${Buffer.from('f'.repeat(32)).toString('base64')}`

forEachDatabase(open => {
  let stage: Stage
  let endpoint: Endpoint
  let connection: Row<'connection'>
  beforeEach(async () => {
    stage = await openStage(await open())
    endpoint = await openEndpoint(secret)
    connection = await createConnection(stage.db, stage.deps, {
      installation: stage.installation,
      actor: person,
      connection: { connector: 'webhook', name: 'Website', settings: { url: endpoint.url }, secrets: { signingSecret: secret } }
    })
  })
  afterEach(async () => {
    await stage.cleanUp()
    await endpoint.close()
  })
  const begin = (contentTypes: string[]) => stage.create({ connectionId: connection.id, contentTypes })
  const syncs = () => stage.db.selectFrom('sync').selectAll().orderBy('id').execute()
  const pauses = () => stage.db.selectFrom('audit_event').selectAll().where('action', '=', 'sync.pause').orderBy('seq').execute()

  it('brings every entry to a webhook', async () => {
    await begin(['article'])
    await stage.drain()
    expect(new Set(endpoint.records.keys())).toEqual(stage.entries('article'))
    const [key] = [...endpoint.records.keys()]
    const uid = key?.split(':')[0] ?? ''
    expect(endpoint.records.get(key ?? '')).toMatchObject({ entry_uid: uid, title: expect.stringMatching(/\w/) })
  })

  it('pauses everything that writes to an endpoint that is gone, says why, and goes on when a person resumes', async () => {
    const [articles, authors] = await begin(['article', 'author'])
    const elsewhere = await stage.create({ contentTypes: ['author'] })
    endpoint.answer = (_request, response) => Boolean(response.writeHead(410).end())
    await stage.drain()
    const said = expect.stringMatching(/410.*gone for good\. Ask its owner/)
    expect(await syncs()).toMatchObject([
      { id: articles?.id, state: 'paused', paused_reason: said },
      { id: authors?.id, state: 'paused', paused_reason: said },
      { id: elsewhere[0]?.id, state: 'active' }
    ])
    expect(await getConnection(stage.db, { installationId: stage.installation.id, id: connection.id })).toMatchObject({ error: said })
    expect((await pauses()).map(event => [event.actor_kind, event.object_id, event.detail_json])).toEqual(
      [articles, authors].map(sync => ['system', sync?.id, expect.stringContaining('410')])
    )
    expect(await stage.lastRun(articles!)).toMatchObject({ status: 'paused' })
    expect(await stage.db.selectFrom('job').select('id').where('state', '=', 'dead').execute()).toEqual([])

    endpoint.answer = () => false
    for (const sync of [articles, authors])
      await resumeSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync!.id, actor: person })
    await stage.drain()
    expect(new Set(endpoint.records.keys())).toEqual(new Set([...stage.entries('article'), ...stage.entries('author')]))
    expect(await stage.lastRun(articles!)).toMatchObject({ status: 'success' })
  })

  it('pauses everything that writes to a connection when a person says so, and nothing else', async () => {
    const [articles] = await begin(['article'])
    const [elsewhere] = await stage.create({ contentTypes: ['author'] })
    const input = { installationId: stage.installation.id, id: connection.id, actor: person }
    await pauseEndpoint(stage.db, stage.deps, input)
    await pauseEndpoint(stage.db, stage.deps, input)
    await stage.drain()
    expect(await syncs()).toMatchObject([
      { id: articles?.id, state: 'paused', paused_reason: `Paused by ${person.name}, with all that writes to Website.` },
      { id: elsewhere?.id, state: 'active' }
    ])
    expect(endpoint.records.size).toBe(0)
    expect((await pauses()).map(event => [event.actor_name, event.object_id])).toEqual([[person.name, articles?.id]])
    await expect(pauseEndpoint(stage.db, stage.deps, { ...input, installationId: 'ins_other' })).rejects.toMatchObject({
      code: 'not_found'
    })
  })

  it('tries again what the endpoint asked to wait for, and in the end has brought everything', async () => {
    let met = 0
    endpoint.answer = (_request, response) => {
      met += 1
      return met > 5 && met < 30 && Boolean(response.writeHead(429, { 'retry-after': '1' }).end())
    }
    await begin(['article'])
    await stage.drain()
    expect(met).toBeGreaterThan(30)
    expect(new Set(endpoint.records.keys())).toEqual(stage.entries('article'))
  })

  it('asks for no former secret once it has had one', async () => {
    const renew = (secrets: Record<string, string>) =>
      renewSecrets(stage.db, stage.deps, { installation: stage.installation, actor: person, id: connection.id, secrets })
    await renew({ signingSecret: secret, formerSigningSecret: former })
    expect(endpoint.received.at(-1)?.signatures).toHaveLength(2)
    await renew({ signingSecret: secret })
    expect(endpoint.received.at(-1)?.signatures).toHaveLength(1)
    await expect(renew({ formerSigningSecret: former })).rejects.toMatchObject({
      code: 'invalid',
      fields: { 'secrets.signingSecret': ['needed'] }
    })
  })
})
