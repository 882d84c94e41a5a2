// A vault on a test's database. All of one test file hang on one key file, so that opening a second on the same database finds its keys.
import type { Db } from '../../server/database/database.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { openVault, type Vault } from '../../server/vault/vault.ts'

/** As an operator would edit it: what is put in front is there for every vault of this test file. */
export const testKeyFile = { text: generateKeyRing() }

export async function testVault(db: Db): Promise<Vault> {
  const reload = () => parseKeyRing(testKeyFile.text)
  return await openVault(db, { ring: reload(), reload })
}
