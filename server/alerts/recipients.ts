// Who else is told what happens to one installation: rows that people add and remove. A URL is often a secret itself, and a signed
// webhook has one, so both are sealed together and never shown again; an e-mail address stands in clear. Sends nothing.
import { randomBytes } from 'node:crypto'
import { type Actor, type AuditAction, appendAudit } from '../audit/audit.ts'
import { type Db, dialectOf } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import type { Vault } from '../vault/vault.ts'
import { parseEmail, parseUrl, type RecipientKind, shownUrl } from './address.ts'

export type RecipientRow = Row<'alert_recipient'>

export interface RecipientDeps {
  vault: Vault
  /** The outgoing guard's word on a host: AppError forbidden for a private one, upstream for one that does not resolve. */
  resolve(host: string): Promise<string>
  /** Plain http too, in development. */
  httpAllowed: boolean
  /** Whether the operator has named a mail server. */
  mails: boolean
}

/** What is sealed of a recipient with a URL, as JSON. */
export interface Sealed {
  url: string
  signingSecret?: string
}

export const recipientPurpose = 'alert_recipient'
const mostRecipients = 20

/**
 * The signing secret of a webhook is returned this once. AppError invalid (address, no mail server), forbidden and upstream (its host),
 * conflict (twenty already, known already, the installation has ended).
 */
export async function addRecipient(
  db: Db,
  deps: RecipientDeps,
  input: { installation: { id: string; organization_id: string }; kind: RecipientKind; address: string; actor: Actor }
): Promise<{ row: RecipientRow; signingSecret: string | null }> {
  const { installation, kind, actor } = input
  const { shown, sealed } = await judged(deps, kind, input.address)
  return await db.transaction().execute(async trx => {
    await refuseTooMany(trx, installation.id, kind, shown)
    const own = { organization_id: installation.organization_id, installation_id: installation.id }
    const owner = { organizationId: own.organization_id, installationId: own.installation_id, purpose: recipientPurpose }
    const row: RecipientRow = {
      ...own,
      id: newId('rcp'),
      kind,
      address: shown,
      secret_id: sealed && (await deps.vault.put(trx, owner, JSON.stringify(sealed))),
      created_by: actor.name,
      created_at: Date.now(),
      sent_at: null,
      error: null
    }
    await trx.insertInto('alert_recipient').values(row).execute()
    await audit(trx, deps.vault, actor, 'recipient.add', row)
    return { row, signingSecret: sealed?.signingSecret ?? null }
  })
}

async function judged(deps: RecipientDeps, kind: RecipientKind, address: string): Promise<{ shown: string; sealed: Sealed | null }> {
  if (kind === 'email') {
    if (!deps.mails)
      throw new AppError('invalid', 'This Quayside cannot send e-mail.', {
        remedy: 'Its operator can name a mail server in QUAYSIDE_ALERTS_FILE. A Slack or signed webhook works without.',
        fields: { kind: ['no mail server is set up'] }
      })
    return { shown: parseEmail(address), sealed: null }
  }
  const url = parseUrl(address, deps)
  await deps.resolve(url.hostname)
  // 32 bytes; https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme asks for 24 to 64.
  const signing = kind === 'webhook' ? { signingSecret: `whsec_${randomBytes(32).toString('base64')}` } : {}
  return { shown: shownUrl(url), sealed: { url: url.href, ...signing } }
}

async function refuseTooMany(trx: Db, installationId: string, kind: RecipientKind, shown: string): Promise<void> {
  // Two that add at once would each count the same rows.
  const installation = await trx
    .selectFrom('installation')
    .select('status')
    .where('id', '=', installationId)
    .$if(dialectOf(trx) === 'postgres', query => query.forUpdate())
    .executeTakeFirst()
  if (installation?.status === 'uninstalled') throw new AppError('conflict', 'This installation has ended: nothing happens to it any more.')
  const rows = await listRecipients(trx, installationId)
  if (rows.length >= mostRecipients)
    throw new AppError('conflict', `This installation has ${mostRecipients} recipients already, the most there may be.`, {
      remedy: 'Remove one first, or give the address of a list or channel.'
    })
  if (kind === 'email' && rows.some(row => row.kind === 'email' && row.address.toLowerCase() === shown.toLowerCase()))
    throw new AppError('conflict', `${shown} is a recipient already.`)
}

/** Newest first; twenty at most. */
export async function listRecipients(db: Db, installationId: string): Promise<RecipientRow[]> {
  return await db.selectFrom('alert_recipient').selectAll().where('installation_id', '=', installationId).orderBy('id', 'desc').execute()
}

/** AppError not_found, also for another installation's. */
export async function getRecipient(db: Db, of: { installationId: string; id: string }): Promise<RecipientRow> {
  const row = await db
    .selectFrom('alert_recipient')
    .selectAll()
    .where('id', '=', of.id)
    .where('installation_id', '=', of.installationId)
    .executeTakeFirst()
  if (!row) throw new AppError('not_found', `There is no recipient ${of.id}`)
  return row
}

/** What waits to be sent to it is cancelled when its turn comes. AppError not_found. */
export async function removeRecipient(
  db: Db,
  deps: Pick<RecipientDeps, 'vault'>,
  input: { installationId: string; id: string; actor: Actor }
): Promise<RecipientRow> {
  return await db.transaction().execute(async trx => {
    const row = await getRecipient(trx, input)
    const { numDeletedRows } = await trx.deleteFrom('alert_recipient').where('id', '=', row.id).executeTakeFirst()
    if (numDeletedRows === 0n) throw new AppError('not_found', `There is no recipient ${row.id}`)
    if (row.secret_id !== null) await deps.vault.erase(trx, row.secret_id)
    await audit(trx, deps.vault, input.actor, 'recipient.remove', row)
    return row
  })
}

/**
 * To be called in the transaction that erases an ended installation's secrets: recipients with one go. E-mail addresses stay, so that
 * what is left at Contentstack can still be told. Returns how many went.
 */
export async function forgetRecipients(trx: Db, installationId: string): Promise<number> {
  const { numDeletedRows } = await trx
    .deleteFrom('alert_recipient')
    .where('installation_id', '=', installationId)
    .where('secret_id', 'is not', null)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

async function audit(trx: Db, vault: Vault, actor: Actor, action: AuditAction, row: RecipientRow): Promise<void> {
  await appendAudit(trx, vault, {
    organizationId: row.organization_id,
    installationId: row.installation_id,
    actor,
    action,
    object: { kind: 'recipient', id: row.id, name: row.address },
    detail: { kind: row.kind }
  })
}
