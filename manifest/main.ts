// `npm run manifest -- --url https://quayside.example.com`: prints the manifest for that address and how to enter it in
// Developer Hub. The JSON alone goes to stdout, so it can be piped; everything said to the person goes to stderr.
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { clickPath } from './clickpath.ts'
import { renderManifest } from './manifest.ts'

const usage = `npm run manifest -- --url https://quayside.example.com [--region na] [--webhook-secret VALUE]

  --url             where Contentstack and browsers reach the server; an https origin
  --region          na (default), eu, au, azure-na, azure-eu, gcp-na, gcp-eu: each is its own Developer Hub
  --webhook-secret  the value the server already holds for this region; without it a new one is made`

// Application hosts per region: https://artifacts.contentstack.com/regions.json
const applications: Record<string, string> = {
  na: 'https://app.contentstack.com',
  eu: 'https://eu-app.contentstack.com',
  au: 'https://au-app.contentstack.com',
  'azure-na': 'https://azure-na-app.contentstack.com',
  'azure-eu': 'https://azure-eu-app.contentstack.com',
  'gcp-na': 'https://gcp-na-app.contentstack.com',
  'gcp-eu': 'https://gcp-eu-app.contentstack.com'
}

try {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      region: { type: 'string', default: 'na' },
      'webhook-secret': { type: 'string' },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(usage)
  } else {
    if (values.url === undefined) throw new Error('Say where the server will stand: --url https://…')
    const application = applications[values.region]
    if (application === undefined) throw new Error(`"${values.region}" is not a region. One of: ${Object.keys(applications).join(', ')}.`)
    const webhookSecret = values['webhook-secret'] ?? randomBytes(32).toString('base64url')
    const manifest = renderManifest({ publicUrl: values.url, region: values.region, webhookSecret })
    console.log(JSON.stringify(manifest, null, 2))
    console.error(`\n${clickPath(manifest, application).join('\n')}`)
    if (values['webhook-secret'] === undefined) {
      console.error("\nThe webhook header's value in the JSON is new: put the same one into the server's settings.")
    }
  }
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
  process.exitCode = 1
}
