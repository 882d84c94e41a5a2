// What an erasing leaves in the hands of whoever asked for it, and whether it is what this server gave: a mark over its words, and its
// event in the organization's audit trail.
import type { Db } from '../database/database.ts'
import type { ErasureReceipt } from '../http/contract/console.ts'
import type { Vault } from '../vault/vault.ts'

type Unmarked = Omit<ErasureReceipt, 'mark'>

export function markReceipt(vault: Pick<Vault, 'mac'>, receipt: Unmarked): ErasureReceipt {
  return { ...receipt, mark: vault.mac(receiptLabel, receiptText(receipt)) }
}

/** `genuine`: this server gave it, word for word. `inChain`: its event stands in the organization's audit trail. */
export async function verifyReceipt(
  db: Db,
  vault: Pick<Vault, 'verifyMac'>,
  receipt: ErasureReceipt
): Promise<{ genuine: boolean; inChain: boolean }> {
  const { seq, mac } = receipt.head.after
  const event = await db
    .selectFrom('audit_event')
    .select('id')
    .where('organization_id', '=', receipt.organization.id)
    .where('seq', '=', seq)
    .where('mac', '=', mac)
    .executeTakeFirst()
  return { genuine: vault.verifyMac(receiptLabel, receiptText(receipt), receipt.mark), inChain: event !== undefined }
}

const receiptLabel = 'erasure-receipt'

/** Everything but the mark, in an order that does not hang on how the file was written. */
function receiptText({ receipt, organization, startedAt, at, by, rows, tokensLeft, head }: Unmarked): string {
  const { before, after } = head
  return JSON.stringify([
    receipt,
    [organization.id, organization.region, organization.organizationUid, organization.name],
    startedAt,
    at,
    [by.kind, by.id, by.name],
    Object.entries(rows).toSorted(([one], [other]) => (one < other ? -1 : 1)),
    tokensLeft.map(({ name, stackName, status }) => [name, stackName, status]),
    [before.seq, before.mac, after.seq, after.mac]
  ])
}
