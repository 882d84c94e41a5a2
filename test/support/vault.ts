// A vault on a test's database. All of one test file hang on one key ring, so that opening a second on the same database finds its keys.
import type { Db } from '../../server/database/database.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { openVault, type Vault } from '../../server/vault/vault.ts'

const testRing = parseKeyRing(generateKeyRing())

export async function testVault(db: Db): Promise<Vault> {
  return await openVault(db, { ring: testRing })
}
