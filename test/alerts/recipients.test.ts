// Who else is told: what may be added, what is kept of it, who may take it away.
import { beforeEach, describe, expect, it } from 'vitest'
import { addRecipient, forgetRecipients, listRecipients, type RecipientDeps, removeRecipient } from '../../server/alerts/recipients.ts'
import type { Db } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import { AppError } from '../../server/errors.ts'
import { createGuard } from '../../server/sync/guard.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { openVault, type Vault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'

const actor = { kind: 'admin', id: 'issuer#ada', name: 'Ada <ada@example.com>' } as const
const hookUrl = 'https://127.0.0.1:9/services/T000/B000/path-that-is-a-secret'

forEachDatabase(open => {
  let db: Db
  let installation: Row<'installation'>
  let vault: Vault
  let deps: RecipientDeps
  beforeEach(async () => {
    ;({ db } = await open())
    installation = await insertInstallation(db)
    vault = await openVault(db, { ring: parseKeyRing(generateKeyRing()) })
    deps = depsWith(['127.0.0.1'])
  })

  const depsWith = (privateHosts: string[]): RecipientDeps => ({
    vault,
    resolve: createGuard({ filesDirectory: '/nowhere', privateHosts }).resolve,
    httpAllowed: false,
    mails: true
  })
  const add = (kind: 'email' | 'slack' | 'webhook', address: string, given = deps) =>
    addRecipient(db, given, { installation, kind, address, actor })
  const actions = async () => (await db.selectFrom('audit_event').select('action').orderBy('seq').execute()).map(({ action }) => action)

  /** Every row of every table that a recipient could leave something in. */
  const everything = async () => {
    const rows: unknown[] = []
    for (const table of ['alert', 'alert_recipient', 'secret', 'audit_event', 'job'] as const)
      rows.push(
        ...(await db
          .selectFrom(table as 'alert')
          .selectAll()
          .execute())
      )
    return JSON.stringify(rows)
  }

  it('keeps a URL and a signing secret sealed, and shows scheme and host', async () => {
    const { row, signingSecret } = await add('webhook', hookUrl)
    expect([row.address, row.created_by]).toEqual(['https://127.0.0.1:9', actor.name])
    expect(signingSecret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    const kept = await everything()
    expect(kept).toContain(row.id)
    for (const secret of ['path-that-is-a-secret', signingSecret ?? '']) expect(kept).not.toContain(secret)
    expect(JSON.parse(await deps.vault.reveal(db, row.secret_id ?? '', 'alert_recipient'))).toEqual({ url: hookUrl, signingSecret })
  })

  it('gives each webhook a secret of its own, and Slack and e-mail none', async () => {
    const secrets = [(await add('webhook', hookUrl)).signingSecret, (await add('webhook', hookUrl)).signingSecret]
    expect(new Set(secrets).size).toBe(2)
    const others = [await add('slack', hookUrl), await add('email', 'team@example.com')]
    expect(others.map(({ row, signingSecret }) => [row.kind, row.address, row.secret_id === null, signingSecret])).toEqual([
      ['slack', 'https://127.0.0.1:9', false, null],
      ['email', 'team@example.com', true, null]
    ])
    expect(JSON.parse(await deps.vault.reveal(db, others[0]?.row.secret_id ?? '', 'alert_recipient'))).toEqual({ url: hookUrl })
  })

  it('lists the newest first, of one installation alone', async () => {
    const first = await add('email', 'one@example.com')
    const second = await add('email', 'two@example.com')
    const other = await insertInstallation(db)
    await addRecipient(db, deps, { installation: other, kind: 'email', address: 'three@example.com', actor })
    expect((await listRecipients(db, installation.id)).map(({ id }) => id)).toEqual([second.row.id, first.row.id])
  })

  it('takes away row and secret at once, once, and says who did', async () => {
    const { row } = await add('slack', hookUrl)
    await removeRecipient(db, deps, { installationId: installation.id, id: row.id, actor })
    expect(await listRecipients(db, installation.id)).toEqual([])
    await expect(deps.vault.reveal(db, row.secret_id ?? '', 'alert_recipient')).rejects.toMatchObject({ code: 'not_found' })
    await expect(removeRecipient(db, deps, { installationId: installation.id, id: row.id, actor })).rejects.toMatchObject({
      code: 'not_found'
    })
    expect(await actions()).toEqual(['recipient.add', 'recipient.remove'])
    const { object_name: name, detail_json: detail } = await db.selectFrom('audit_event').selectAll().executeTakeFirstOrThrow()
    expect([name, JSON.parse(detail)]).toEqual(['https://127.0.0.1:9', { kind: 'slack' }])
  })

  it('does not know a recipient of another installation', async () => {
    const { row } = await add('email', 'one@example.com')
    const other = await insertInstallation(db)
    await expect(removeRecipient(db, deps, { installationId: other.id, id: row.id, actor })).rejects.toMatchObject({ code: 'not_found' })
    expect(await listRecipients(db, installation.id)).toHaveLength(1)
  })

  it('takes twenty and no more, though they come at once', async () => {
    for (let n = 1; n <= 17; n++) await add('email', `a${n}@example.com`)
    const outcomes = await Promise.allSettled([18, 19, 20, 21, 22, 23].map(n => add('email', `a${n}@example.com`)))
    const refused = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason as AppError] : []))
    expect(refused.map(({ code }) => code)).toEqual(['conflict', 'conflict', 'conflict'])
    expect(refused[0]?.remedy).toContain('Remove one first')
    expect(await listRecipients(db, installation.id)).toHaveLength(20)
  })

  it('takes an e-mail address once, however it is written', async () => {
    await add('email', 'team@example.com')
    await expect(add('email', 'Team@Example.com')).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('already') as string
    })
  })

  it('takes no e-mail address where no mail server is named, and says whose affair that is', async () => {
    const refusal = await add('email', 'team@example.com', { ...deps, mails: false }).catch((error: AppError) => error)
    expect(refusal).toMatchObject({ code: 'invalid', remedy: expect.stringContaining('QUAYSIDE_ALERTS_FILE') as string })
    expect((await add('slack', hookUrl, { ...deps, mails: false })).row.kind).toBe('slack')
  })

  it('takes none for an installation that has ended', async () => {
    await db.updateTable('installation').set({ status: 'uninstalled' }).where('id', '=', installation.id).execute()
    await expect(add('email', 'team@example.com')).rejects.toMatchObject({ code: 'conflict' })
  })

  it('forgets those with a secret when the installation ends, and keeps who can still be told', async () => {
    await add('email', 'team@example.com')
    await add('slack', hookUrl)
    await add('webhook', hookUrl)
    expect(await db.transaction().execute(trx => forgetRecipients(trx, installation.id))).toBe(2)
    expect((await listRecipients(db, installation.id)).map(({ address }) => address)).toEqual(['team@example.com'])
  })

  describe('what must not be reached', () => {
    it.each([
      ['the loopback', 'https://127.0.0.1/hook'],
      ['the loopback’s other end', 'https://127.255.255.254/hook'],
      ['the loopback by name', 'https://localhost/hook'],
      ['the loopback by name and dot', 'https://LOCALHOST./hook'],
      ['the loopback of IPv6', 'https://[::1]/hook'],
      ['the loopback within IPv6', 'https://[::ffff:127.0.0.1]/hook'],
      ['the loopback as one number', 'https://2130706433/hook'],
      ['the loopback in hexadecimal', 'https://0x7f000001/hook'],
      ['the loopback in octal', 'https://0177.0.0.1/hook'],
      ['the loopback cut short', 'https://127.1/hook'],
      ['the loopback percent-encoded', 'https://%31%32%37.0.0.1/hook'],
      ['any address', 'https://0.0.0.0/hook'],
      ['a cloud’s metadata', 'https://169.254.169.254/latest/meta-data/'],
      ['a cloud’s metadata as one number', 'https://2852039166/'],
      ['a cloud’s metadata within IPv6', 'https://[::ffff:a9fe:a9fe]/'],
      ['a cloud’s metadata through NAT64', 'https://[64:ff9b::a9fe:a9fe]/'],
      ['a private network', 'https://10.0.0.1/'],
      ['a private network of IPv6', 'https://[fd00::1]/'],
      ['a link-local address', 'https://[fe80::1]/'],
      ['a port of the loopback', 'https://127.0.0.1:5432/']
    ])('%s is refused and leaves nothing', async (_case, address) => {
      const before = await everything()
      for (const kind of ['slack', 'webhook'] as const)
        await expect(add(kind, address, depsWith([]))).rejects.toMatchObject({ code: 'forbidden' })
      expect(await everything()).toBe(before)
    })
  })
})
