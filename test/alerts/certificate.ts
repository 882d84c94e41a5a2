// A certificate of one's own for 127.0.0.1 and localhost, made anew each time and trusted by this process, so that mail servers and
// webhook receivers of tests speak real TLS. Just enough DER for one X.509 v3 certificate on P-256: https://www.rfc-editor.org/rfc/rfc5280.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'

export interface Certificate {
  key: string
  cert: string
}

/** Trusted from here on in this process. */
export function trustedCertificate(): Certificate {
  const made = selfSigned()
  setDefaultCACertificates([...getCACertificates('default'), made.cert])
  return made
}

export function selfSigned(): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = seq(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
  // One's own name is one's issuer's: told apart from other tests' by chance.
  const name = seq(tlv(0x31, seq(oid(0x55, 0x04, 0x03), tlv(0x0c, Buffer.from(`Test ${randomBytes(6).toString('hex')}`)))))
  const time = (at: number) => tlv(0x17, Buffer.from(`${new Date(at).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))
  const alternative = seq(tlv(0x82, Buffer.from('localhost')), tlv(0x87, Buffer.from([127, 0, 0, 1])))
  const isAuthority = seq(tlv(0x01, Buffer.from([0xff])))
  const extensions = seq(
    seq(oid(0x55, 0x1d, 0x13), tlv(0x01, Buffer.from([0xff])), tlv(0x04, isAuthority)),
    seq(oid(0x55, 0x1d, 0x11), tlv(0x04, alternative))
  )
  const body = seq(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    name,
    seq(time(Date.now() - 3_600_000), time(Date.now() + 86_400_000)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, extensions)
  )
  const der = seq(body, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, privateKey)])))
  const base64 = der.toString('base64').replace(/.{64}/g, '$&\n')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`
  }
}

const seq = (...parts: Buffer[]) => tlv(0x30, Buffer.concat(parts))
const oid = (...bytes: number[]) => tlv(0x06, Buffer.from(bytes))

function tlv(tag: number, value: Buffer): Buffer {
  const { length } = value
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), value])
}
