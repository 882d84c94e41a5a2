// The region's signature on a webhook: RSA-PSS, SHA-256, MGF1 with SHA-256, salt 32, over the body's bytes (reference §7.4).
import { constants, createPrivateKey, type KeyObject, sign } from 'node:crypto'

const keys = new Map<string, KeyObject>()

/** The value of `X-Contentstack-Request-Signature`. Signs off the main thread: storms of webhooks must not hold up the CMA. */
export function signBody(privatePem: string, body: Buffer): Promise<string> {
  let key = keys.get(privatePem)
  if (!key) keys.set(privatePem, (key = createPrivateKey(privatePem)))
  const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  return new Promise((resolve, reject) => {
    sign('sha256', body, options, (error, signature) => (error ? reject(error) : resolve(`v1=${signature.toString('base64')}`)))
  })
}
