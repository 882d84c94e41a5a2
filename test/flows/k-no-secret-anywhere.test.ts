// Flow K, the sweep for secrets: everything that an admin can do with a credential is done, refusals included, and then each secret that
// was used is looked for in every row, file, log line and answer of ours, in every form it may have taken.
import { randomBytes } from 'node:crypto'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { until } from '../../sandbox/demo/admin.ts'
import { createPerson } from '../../sandbox/demo/person.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { NewGrant } from '../../server/http/contract/custody.ts'
import type { CreatedAlertRecipient, CreatedKey } from '../../server/http/contract/stack.ts'
import { freshPostgres } from '../support/databases.ts'
import { askStack, cma, type Connected, connect, type Flow, onBothDatabases, reopen } from '../support/flow.ts'
import { administer } from '../support/postgres.setup.ts'
import { openReceiver } from '../support/receiver.ts'
import { findSecrets, type Secrets, secretsOfOperator, secretsOfWorld, watchWire } from '../support/secrets.ts'

onBothDatabases('K. no secret anywhere', open => {
  let flow: Flow
  let connected: Connected
  let all: Secrets
  const own: Secrets = new Map()
  const wire = watchWire()
  const cleanups: (() => Promise<void>)[] = []
  afterAll(async () => {
    wire.stop()
    for (const cleanup of cleanups) await cleanup()
  })

  beforeAll(async () => {
    flow = await open()
    connected = await connect(flow)
    own.set(connected.pages.session.session, 'session')
  })

  /** From the button to the end of the grant, consented to by the admin. */
  async function grant(purpose: NewGrant['purpose']): Promise<void> {
    const { person, urls, app, stack } = flow
    const { grantId, url } = await connected.pages.startGrant({ purpose, expiresInDays: 30, branches: ['main'] })
    own.set(new URL(url).searchParams.get('ticket')!, 'ticket')
    const browser = createPerson()
    const asked = new URL((await browser.ask(url)).location!).searchParams
    own.set(asked.get('state')!, 'state')
    const { body } = await person.ask<{ data: { redirect_url: string } }>(`${urls.developerHub}/manifests/${app.appUid}/authorize`, {
      method: 'POST',
      headers: { authtoken: connected.admin.authtoken, organization_uid: stack.organizationUid },
      json: Object.fromEntries(asked)
    })
    own.set(new URL(body.data.redirect_url).searchParams.get('code')!, 'code')
    await browser.ask(body.data.redirect_url)
    // The same once more: refused, and its code is in the request again.
    await browser.ask(body.data.redirect_url, { allow: [400, 403] })
    await until(
      'the grant to be over',
      async () => {
        await letTimePass(flow)
        const row = await flow.database.db.selectFrom('grant_flow').selectAll().where('id', '=', grantId).executeTakeFirstOrThrow()
        if (row.status === 'failed') throw new Error(`The grant failed: ${row.error}`)
        return row.finished_at
      },
      30
    )
  }

  /** The minute that requests under way have with a former token. */
  async function letTimePass({ database: { db } }: Flow): Promise<void> {
    await db.updateTable('management_token').set({ updated_at: 0 }).where('status', '=', 'retiring').execute()
    await db.updateTable('job').set({ run_at: 0 }).where('kind', '=', 'custody.grant').where('state', '=', 'ready').execute()
  }

  it('is used: tokens minted and rotated', async () => {
    await grant('rotate')
    expect(Object.values(flow.stack.managementTokens).filter(({ name }) => name.startsWith('Quayside '))).toHaveLength(1)
  })

  it('is used: the password of a database, in a connection that works and in one that does not', async () => {
    const { url, cleanup } = await freshPostgres('template0')
    cleanups.push(cleanup)
    const user = `sweep_${randomBytes(4).toString('hex')}`
    const password = `pw/${randomBytes(12).toString('base64')}`
    await administer(inject('postgresUrl'), `create role ${user} login superuser password '${password}'`)
    cleanups.push(() => administer(inject('postgresUrl'), `drop role ${user}`))
    own.set(password, 'connection password')
    const { hostname, port, pathname } = new URL(url)
    const settings = { system: 'postgres', host: hostname, port: Number(port), database: pathname.slice(1), user }
    const { id } = await connected.pages.connect({ connector: 'sql', name: 'Website', settings, secrets: { password } })
    await connected.pages.createSyncs({ direction: 'outbound', connectionId: id, contentTypes: ['author'], target: '' })
    await until('the run', async () => ((await connected.pages.runs()).every(({ status }) => status === 'success') ? true : null), 30)
    const wrong = { ...settings, database: 'no_such_database' }
    const refused = connected.pages.connect({ connector: 'sql', name: 'Nowhere', settings: wrong, secrets: { password } })
    await expect(refused).rejects.toThrow()
  })

  it('is used: an access key, through the gateway, and a wrong one', async () => {
    const { key, accessKey } = await connected.pages.createKey({
      name: 'nightly',
      scopes: [{ module: 'entries', actions: ['read', 'write'] }],
      expiresInDays: 30
    })
    own.set(key, 'access key')
    const ask = async (path: string, authorization: string) =>
      (await fetch(`${flow.server.url}/gateway${path}`, { headers: { authorization, api_key: blogApiKey } })).status
    expect(await ask('/v3/content_types/author/entries', key)).toBe(200)
    expect(await ask('/v3/webhooks', key)).toBe(403)
    expect(await ask('/v3/content_types/author/entries', `${key.slice(0, -1)}!`)).toBe(401)
    await askStack<CreatedKey>(flow, connected.pages, `/keys/${accessKey.id}`, { method: 'DELETE', json: {} })
    expect(await ask('/v3/content_types/author/entries', key)).toBe(401)
  })

  it('is used: addresses that are told of alerts, and what their alerts are signed with', async () => {
    const receiver = await openReceiver()
    cleanups.push(() => receiver.close())
    for (const kind of ['slack', 'webhook'] as const) {
      const path = `hooks-${randomBytes(12).toString('hex')}`
      own.set(path, 'path of an alert')
      const address = `${receiver.url}/${path}`
      const { recipient, signingSecret } = await askStack<CreatedAlertRecipient>(flow, connected.pages, '/recipients', {
        method: 'POST',
        json: { kind, address }
      })
      if (signingSecret !== null) own.set(signingSecret, 'signing secret')
      await askStack(flow, connected.pages, `/recipients/${recipient.id}/test`, { method: 'POST', json: {} })
    }
    expect(receiver.received).toHaveLength(2)
  })

  it('is used: a token pasted, and credentials of other kinds that are refused', async () => {
    const { headers } = connected.pages
    const paste = (token: string) =>
      flow.person.ask(`${flow.server.url}/api/extension/stack/tokens/paste`, {
        method: 'POST',
        headers,
        json: { token },
        allow: [400, 422]
      })
    expect((await paste(connected.admin.authtoken)).status).toBeGreaterThanOrEqual(400)
    expect((await paste(`Bearer ${Object.keys(flow.sandbox.world.oauthTokens)[0]}`)).status).toBeGreaterThanOrEqual(400)
    const { token } = await cma<{ token: { token: string } }>(flow, connected.admin, '/stacks/management_tokens', {
      method: 'POST',
      json: {
        token: {
          name: 'Made by hand',
          scope: [
            { module: 'content_type', acl: { read: true, write: true } },
            { module: 'branch', branches: ['main'], acl: { read: true } }
          ]
        }
      }
    })
    own.set(token.token, 'management token pasted')
    expect((await paste(`${token.token}x`)).status).toBeGreaterThanOrEqual(400)
    expect((await paste(token.token)).status).toBeLessThan(300)
  })

  it('is used: an uninstall by grant', async () => {
    connected.pages = await reopen(flow, connected.admin, connected.installationUid)
    own.set(connected.pages.session.session, 'session')
    all = secretsOfWorld(flow)
    await grant('uninstall')
    const { db } = flow.database
    await until(
      'the installation to be over',
      async () => ((await db.selectFrom('installation').select('status').executeTakeFirstOrThrow()).status === 'uninstalled' ? true : null),
      10
    )
    expect(
      await db.selectFrom('secret').select('purpose').where('erased_at', 'is', null).where('purpose', '!=', 'mac_key').execute()
    ).toEqual([])
  })

  it('and stands nowhere: no row, file, log line or answer holds one in any form', async () => {
    all = new Map([...all, ...wire.secrets, ...secretsOfWorld(flow), ...(await secretsOfOperator(flow)), ...own])
    // The other database's flow runs beside this one, and its secrets are looked for as well.
    expect([...new Set(all.values())]).toEqual(
      expect.arrayContaining([
        'access key',
        'app webhook secret',
        'authorization',
        'authtoken',
        'code',
        'code_verifier',
        'connection password',
        'key of the vault',
        'management token',
        'management token pasted',
        'path of an alert',
        'session',
        'signing secret',
        'state',
        "the app's client secret",
        "the console's client secret",
        'ticket',
        'user access token',
        'user refresh token',
        'app access token',
        'app refresh token',
        'webhook header'
      ])
    )
    expect(all.size).toBeGreaterThan(25)
    expect(await findSecrets(flow, all)).toEqual([])
  })

  it('looks into the answers as they left: a session stands in the one that gave it', async () => {
    const sessions = new Map([...own].filter(([, what]) => what === 'session').map(([secret]) => [secret, 'not excused']))
    expect(sessions.size).toBe(2)
    expect(await findSecrets(flow, sessions)).toEqual(
      Array<string>(2).fill('not excused, as it is, in the answer to POST /api/extension/session')
    )
  })

  it('would have been found: in a row, in a file, in the log and in an answer', async () => {
    const { db } = flow.database
    const [secret] = [...own].find(([, what]) => what === 'connection password')!
    const planted: Secrets = new Map([[secret, 'planted']])
    const found = async () => (await findSecrets(flow, planted)).map(place => place.replace(/-wal$/, ''))
    await db
      .updateTable('organization')
      .set({ name: Buffer.from(secret).toString('hex') })
      .execute()
    expect(await found()).toContain('planted, as hex, in table organization')
    await appendFile(join(flow.directory, 'note.txt'), Buffer.from(`user:${secret}`).toString('base64'))
    expect(await found()).toContain('planted, as base64, in note.txt')
    await flow.server.close()
    await appendFile(flow.server.logFile, `${JSON.stringify({ msg: secret })}\n`)
    await appendFile(
      join(flow.directory, 'answers.jsonl'),
      `${JSON.stringify({ to: 'GET /planted', head: `x-it: ${secret}\r\n`, body: '' })}\n`
    )
    const after = await found()
    expect(after).toContain('planted, as it is, in server.log')
    expect(after).toContain('planted, as it is, in the answer to GET /planted')
  })
})
