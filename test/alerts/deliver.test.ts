// From an alert that is raised to everybody who asked to be told: real jobs, a real mail server, a real https receiver.
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { listAlerts, type NewAlert, raiseAlert } from '../../server/alerts/alert.ts'
import { alertJobs, type DeliveryDeps, testRecipient } from '../../server/alerts/deliver.ts'
import { addRecipient, forgetRecipients, listRecipients, removeRecipient } from '../../server/alerts/recipients.ts'
import type { Database, Db } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import { hold } from '../../server/jobs/queue.ts'
import { createWorker, type Worker } from '../../server/jobs/worker.ts'
import { createLog, silentLog } from '../../server/log.ts'
import { createGuard } from '../../server/sync/guard.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { openVault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'
import { trustedCertificate } from './certificate.ts'
import { headersOf, type Hook, type Mailbox, openHook, openMailbox } from './receivers.ts'

const actor = { kind: 'admin', id: 'issuer#ada', name: 'Ada' } as const
const certificate = trustedCertificate()
const hookSecret = 'T000-B000-hook-path-secret'
const mailPassword = 'mail-password-secret'
const days = 24 * 60 * 60_000
const ring = parseKeyRing(generateKeyRing())

forEachDatabase(open => {
  let database: Database
  let db: Db
  let installation: Row<'installation'>
  let deps: DeliveryDeps
  let worker: Worker
  let lines: string[]
  let hook: Hook
  let mailbox: Mailbox
  beforeAll(async () => {
    hook = await openHook(certificate, `/${hookSecret}`)
    mailbox = await openMailbox({ users: { quay: mailPassword }, ...certificate })
  })
  afterAll(async () => {
    await hook.close()
    await mailbox.close()
  })
  beforeEach(async () => {
    database = await open()
    db = database.db
    installation = await insertInstallation(db)
    for (const kept of [hook.received, hook.answers, mailbox.received, mailbox.refusals]) kept.length = 0
    lines = []
    await begin()
    return () => worker.stop()
  })

  async function begin(change: Partial<DeliveryDeps> = {}): Promise<void> {
    deps = {
      vault: await openVault(db, { ring }),
      fetch: createGuard({ filesDirectory: '/nowhere', privateHosts: ['127.0.0.1'] }).fetch,
      publicUrl: 'https://quayside.example.com',
      smtp: {
        host: '127.0.0.1',
        port: mailbox.port,
        secure: false,
        requireTls: true,
        user: 'quay',
        password: mailPassword,
        from: 'Quayside <quayside@example.com>'
      },
      standing: [],
      ...change
    }
    const log = createLog('debug', { write: line => void lines.push(line) })
    worker = createWorker({ database, kinds: alertJobs(db, deps), concurrency: 8, log })
  }

  const alertOf = (change: Partial<NewAlert> = {}): NewAlert => ({
    organizationId: installation.organization_id,
    installationId: installation.id,
    kind: 'token.dead',
    title: 'The management token is dead',
    text: 'Contentstack refuses it.',
    links: [{ title: 'Make a new one', url: 'https://quayside.example.com/rotate' }],
    ...change
  })
  const raise = (change: Partial<NewAlert> = {}) => db.transaction().execute(trx => raiseAlert(trx, alertOf(change)))
  const add = (kind: 'email' | 'slack' | 'webhook', address: string) =>
    addRecipient(
      db,
      {
        ...deps,
        resolve: createGuard({ filesDirectory: '/nowhere', privateHosts: ['127.0.0.1'] }).resolve,
        httpAllowed: false,
        mails: true
      },
      { installation, kind, address, actor }
    )
  /** Everything that is due, and every retry there would be. */
  const drain = () => worker.drain({ until: Date.now() + 3 * days })
  const jobs = async () =>
    await db
      .selectFrom('job')
      .select(['kind', 'state', 'attempt', 'error', 'run_at'])
      .where('kind', '=', 'alerts.deliver')
      .orderBy('id')
      .execute()
  const standingOf = async (id: string) => {
    const row = (await listRecipients(db, installation.id)).find(row => row.id === id)
    return { sent: row?.sent_at !== null && row?.sent_at !== undefined, error: row?.error }
  }

  it('tells everybody once, each in their own way, and notes that it did', async () => {
    await add('email', 'ada@example.com')
    await add('slack', hook.url)
    const { signingSecret } = await add('webhook', hook.url)
    const id = await raise()
    await drain()
    expect(mailbox.received.map(({ to, user, secure }) => [to, user, secure])).toEqual([[['ada@example.com'], 'quay', true]])
    expect(hook.received.map(({ path }) => path)).toEqual([`/${hookSecret}`, `/${hookSecret}`])
    const signed = hook.received.find(({ headers }) => headers['webhook-id'] !== undefined)
    expect(signed?.headers['webhook-id']).toBe(id)
    expect(new Webhook(signingSecret ?? '').verify(signed?.body ?? '', signed?.headers as Record<string, string>)).toMatchObject({
      type: 'token.dead',
      data: { installationId: installation.id, stack: { name: 'Harbour site', apiKey: installation.stack_api_key } }
    })
    expect((await listRecipients(db, installation.id)).map(row => [row.sent_at !== null, row.error])).toEqual([
      [true, null],
      [true, null],
      [true, null]
    ])
    expect((await jobs()).map(({ state }) => state)).toEqual(['done', 'done', 'done'])
  })

  it('says in a mail why it came and where to end it', async () => {
    await add('email', 'ada@example.com')
    await raise()
    await drain()
    const body = (mailbox.received[0]?.raw ?? '').replace(/=\r\n/g, '')
    expect(body).toContain(`https://quayside.example.com/console/installations/${installation.id}`)
    expect(body).toContain('Ada made ada@example.com a recipient')
  })

  it('raises nothing when the transaction of what was seen does not stand', async () => {
    await db
      .transaction()
      .execute(async trx => {
        await raiseAlert(trx, alertOf())
        throw new Error('undone')
      })
      .catch(() => {})
    expect([await listAlerts(db, { installationId: installation.id, limit: 9 }), await drain()]).toEqual([[], 0])
  })

  it('tells of an installation whose work is held', async () => {
    await add('slack', hook.url)
    await hold(db, installation.id, 'The token is dead.')
    await raise()
    await drain()
    expect(hook.received).toHaveLength(1)
  })

  it('tells nobody of another installation', async () => {
    await add('slack', hook.url)
    const other = await insertInstallation(db)
    await raise({ organizationId: other.organization_id, installationId: other.id })
    await drain()
    expect(hook.received).toEqual([])
  })

  it('tells the operator’s recipients of every installation', async () => {
    await worker.stop()
    await begin({
      standing: [
        { kind: 'email', address: 'operator@example.com' },
        { kind: 'slack', address: hook.url }
      ]
    })
    await raise()
    const other = await insertInstallation(db)
    await raise({ organizationId: other.organization_id, installationId: other.id })
    await drain()
    expect(mailbox.received.map(({ to }) => to)).toEqual([['operator@example.com'], ['operator@example.com']])
    expect(hook.received).toHaveLength(2)
    expect((mailbox.received[0]?.raw ?? '').replace(/=\r\n/g, '')).toContain('the operator of this Quayside')
    expect(await listRecipients(db, installation.id)).toEqual([])
  })

  it('a recipient that is down delays nobody else, and is tried until it is back, under the same id', async () => {
    const { row, signingSecret } = await add('webhook', hook.url)
    await add('email', 'ada@example.com')
    hook.answers.push({ status: 500 }, { status: 408 }, { status: 503 })
    const id = await raise()
    await worker.drain()
    expect([mailbox.received.length, hook.received.length]).toEqual([1, 1])
    expect(await standingOf(row.id)).toEqual({ sent: false, error: `${new URL(hook.url).host} answered 500.` })
    await drain()
    expect(hook.received.map(({ headers }) => headers['webhook-id'])).toEqual([id, id, id, id])
    for (const { headers, body } of hook.received) new Webhook(signingSecret ?? '').verify(body, headers as Record<string, string>)
    expect(await standingOf(row.id)).toEqual({ sent: true, error: null })
    expect(mailbox.received).toHaveLength(1)
  })

  it('waits as long as a 429 asks', async () => {
    await add('slack', hook.url)
    hook.answers.push({ status: 429, headers: { 'retry-after': '1800' } })
    await raise()
    const before = Date.now()
    await worker.drain()
    const [job] = await jobs()
    expect(job?.state).toBe('ready')
    expect((job?.run_at ?? 0) - before).toBeGreaterThan(1_790_000)
    await drain()
    expect(hook.received).toHaveLength(2)
  })

  it.each([400, 401, 403, 404, 410, 422])('does not repeat what is refused for good with %i', async status => {
    const { row } = await add('slack', hook.url)
    hook.answers.push({ status })
    await raise()
    await drain()
    expect(hook.received).toHaveLength(1)
    expect((await jobs()).map(({ state }) => state)).toEqual(['cancelled'])
    const { sent, error } = await standingOf(row.id)
    expect([sent, error?.startsWith(`${new URL(hook.url).host} answered ${status}. `)]).toEqual([false, true])
  })

  it('gives up after twenty attempts and says why', async () => {
    const { row } = await add('slack', hook.url)
    hook.answers.push(...Array.from({ length: 30 }, () => ({ status: 502 })))
    await raise()
    await drain()
    expect(hook.received).toHaveLength(20)
    expect((await jobs()).map(({ state }) => state)).toEqual(['dead'])
    expect(await standingOf(row.id)).toEqual({ sent: false, error: `${new URL(hook.url).host} answered 502.` })
  })

  it('does not follow a redirect into a private network', async () => {
    await add('slack', hook.url)
    hook.answers.push(
      ...Array.from({ length: 30 }, () => ({ status: 307, headers: { location: 'http://169.254.169.254/latest/meta-data/' } }))
    )
    await raise()
    await drain()
    expect((await jobs()).map(({ state, error }) => [state, error?.includes('a redirect, which is not followed')])).toEqual([
      ['cancelled', true]
    ])
  })

  it('sends nothing to where the operator no longer allows it, and says so', async () => {
    const { row } = await add('slack', hook.url)
    await worker.stop()
    await begin({ fetch: createGuard({ filesDirectory: '/nowhere', privateHosts: [] }).fetch })
    await raise()
    await drain()
    expect(hook.received).toEqual([])
    expect((await standingOf(row.id)).error).toContain('127.0.0.1 is inside a private network')
    expect((await jobs()).map(({ state, attempt }) => [state, attempt])).toEqual([['cancelled', 1]])
  })

  it('a mailbox that does not exist is not tried again, one that is full is', async () => {
    const { row } = await add('email', 'ada@example.com')
    mailbox.refusals.push(550)
    await raise()
    await drain()
    expect(await standingOf(row.id)).toEqual({
      sent: false,
      error: 'The mail server refused the message (EENVELOPE 550). Check the address.'
    })
    mailbox.refusals.push(452)
    await raise()
    await drain()
    expect(mailbox.received).toHaveLength(1)
    expect(await standingOf(row.id)).toEqual({ sent: true, error: null })
  })

  it('tells nobody who was removed before their turn', async () => {
    const { row } = await add('slack', hook.url)
    hook.answers.push({ status: 500 })
    await raise()
    await worker.drain()
    await removeRecipient(db, deps, { installationId: installation.id, id: row.id, actor })
    await drain()
    expect(hook.received).toHaveLength(1)
    expect((await jobs()).map(({ state, error }) => [state, error])).toEqual([['cancelled', 'the recipient was removed']])
  })

  it('tells by mail what is left of an installation that has ended', async () => {
    await add('email', 'ada@example.com')
    await add('slack', hook.url)
    await db.transaction().execute(async trx => {
      await trx.updateTable('installation').set({ status: 'uninstalled' }).where('id', '=', installation.id).execute()
      await raiseAlert(trx, alertOf({ kind: 'installation.left' }))
      await deps.vault.eraseAll(trx, installation.id)
      await forgetRecipients(trx, installation.id)
    })
    await drain()
    expect([mailbox.received.length, hook.received.length]).toEqual([1, 0])
  })

  it('says so when an address is not in the vault any more', async () => {
    const { row } = await add('slack', hook.url)
    await deps.vault.erase(db, row.secret_id ?? '')
    await raise()
    await drain()
    expect(await standingOf(row.id)).toEqual({
      sent: false,
      error: 'The address is not in the vault any more. Remove the recipient and add it anew.'
    })
  })

  it('sends again after a process died before its word, and the receiver knows the repeat', async () => {
    await add('webhook', hook.url)
    await raise()
    await worker.drain()
    await db.updateTable('job').set({ state: 'ready', finished_at: null }).execute()
    await worker.drain()
    const ids = hook.received.map(({ headers }) => headers['webhook-id'])
    expect(ids.length).toBeGreaterThan(1)
    expect(new Set(ids).size).toBe(1)
  })

  it('gives back what it was sending when it is told to stop, and blames nobody', async () => {
    const { row } = await add('slack', hook.url)
    hook.answers.push(null)
    await raise()
    const stopped = createWorker({ database, kinds: alertJobs(db, deps), concurrency: 8, log: silentLog, graceSeconds: 0 })
    const draining = stopped.drain()
    await vi.waitFor(() => expect(hook.received).toHaveLength(1))
    await stopped.stop()
    await draining
    expect(await standingOf(row.id)).toEqual({ sent: false, error: null })
    await worker.drain()
    expect([hook.received.length, await standingOf(row.id)]).toEqual([2, { sent: true, error: null }])
  })

  it('a mail that is sent again has the same Message-ID', async () => {
    await add('email', 'ada@example.com')
    await raise()
    await worker.drain()
    await db.updateTable('job').set({ state: 'ready', finished_at: null }).where('kind', '=', 'alerts.deliver').execute()
    await worker.drain()
    expect(mailbox.received).toHaveLength(2)
    expect(new Set(mailbox.received.map(({ raw }) => headersOf(raw).get('message-id'))).size).toBe(1)
  })

  it('tries one recipient at once and says how it went, without raising anything', async () => {
    const { row, signingSecret } = await add('webhook', hook.url)
    await add('slack', hook.url)
    const tried = await testRecipient(db, deps, { installationId: installation.id, id: row.id })
    expect([tried.error, tried.sent_at !== null]).toEqual([null, true])
    const [{ headers, body } = { headers: {}, body: '' }] = hook.received
    expect(new Webhook(signingSecret ?? '').verify(body, headers as Record<string, string>)).toMatchObject({ type: 'test' })
    expect([hook.received.length, await listAlerts(db, { installationId: installation.id, limit: 9 }), await drain()]).toEqual([1, [], 0])
    hook.answers.push({ status: 404, body: 'no_service' })
    const failed = await testRecipient(db, deps, { installationId: installation.id, id: row.id })
    expect([failed.sent_at, failed.error]).toEqual([
      null,
      `${new URL(hook.url).host} answered 404 no_service. Check the address at the receiving side, or remove it.`
    ])
    expect(await standingOf(row.id)).toEqual({ sent: false, error: failed.error })
    const other = await insertInstallation(db)
    await expect(testRecipient(db, deps, { installationId: other.id, id: row.id })).rejects.toMatchObject({ code: 'not_found' })
  })

  it('leaves no address, signing secret, signature or password in rows and log, whatever happens', async () => {
    const { signingSecret } = await add('webhook', hook.url)
    await add('slack', hook.url)
    await add('email', 'ada@example.com')
    mailbox.refusals.push(550)
    hook.answers.push({ status: 500, body: hook.url }, { status: 404, body: hook.url }, { status: 302, headers: { location: hook.url } })
    await raise()
    await drain()
    hook.answers.push({ status: 500 }, { status: 400 })
    await raise()
    await drain()
    expect(lines.join('')).toContain('the job failed')
    const tables = await Promise.all(
      (['alert', 'alert_recipient', 'job', 'audit_event', 'secret'] as const).map(table =>
        db
          .selectFrom(table as 'alert')
          .selectAll()
          .execute()
      )
    )
    const written = `${lines.join('')}${JSON.stringify(tables)}`
    const signatures = hook.received.flatMap(({ headers }) => headers['webhook-signature'] ?? [])
    expect(signatures.length).toBeGreaterThan(0)
    for (const secret of [hookSecret, signingSecret ?? '?', mailPassword, ...signatures]) expect(written.includes(secret)).toBe(false)
  })
})
