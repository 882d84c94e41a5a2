// The smallest app there can be: the unmodified App SDK from npm, initialised, and left where a test can reach it.
// What the SDK's callbacks hear is kept in order, so that a test can wait for it.
import ContentstackAppSDK from '@contentstack/app-sdk'

const heard: unknown[] = []
const place = document.querySelector('#place')

try {
  // A CommonJS module: Node's interop, which TypeScript and the bundler follow, puts the class below `default`.
  const sdk = await ContentstackAppSDK.default.init()
  const entry = sdk.location.SidebarWidget?.entry ?? sdk.location.CustomField?.entry
  entry?.onChange((data: unknown, resolved: unknown) => heard.push({ event: 'change', data, resolved }))
  entry?.onSave((data: unknown) => heard.push({ event: 'save', data }))
  entry?.onPublish((data: unknown) => heard.push({ event: 'publish', data }))
  sdk.location.AssetSidebarWidget?.onSave((data: unknown) => heard.push({ event: 'assetSave', data }))
  Object.assign(window, { sdk, heard })
  if (place) place.textContent = sdk.getCurrentLocation()
} catch (error) {
  if (place) place.textContent = `failed: ${String(error)}`
}
