// A nightly script as many stacks have one: it marks the entries of one content type as checked, by a tag.
// node THIS_FILE STACK_API_KEY CONTENT_TYPE

const host = process.env.QUAYSIDE_GATEWAY ?? 'https://quayside.example.com/gateway'
const credential = { authorization: process.env.QUAYSIDE_KEY }

const [stack, contentType] = process.argv.slice(2)
const headers = { api_key: stack, 'content-type': 'application/json', ...credential }
const entriesUrl = `${host}/v3/content_types/${contentType}/entries`
const mark = `nightly-${new Date().toISOString().slice(0, 10)}`

const { entries } = await call(`${entriesUrl}?limit=3`, { headers })
for (const entry of entries) {
  const tags = [...(entry.tags ?? []).filter(tag => !tag.startsWith('nightly-')), mark]
  await call(`${entriesUrl}/${entry.uid}`, { method: 'PUT', headers, body: JSON.stringify({ entry: { tags } }) })
}
console.log(`200 ${entries.length} entries of ${contentType} marked ${mark}`)

async function call(url, options) {
  const response = await fetch(url, options)
  if (response.status === 429) {
    // Ten requests a second are shared by everything in the organization.
    await new Promise(resolve => setTimeout(resolve, 1000))
    return call(url, options)
  }
  const body = await response.json()
  if (response.ok) return body
  console.log(`${response.status} ${body.error_message ?? body.error?.message}`)
  process.exit(1)
}
