declare module 'workerd' {
  /** A CommonJS module whose own default export is the path of the binary. */
  const workerd: { readonly default: string }
  export default workerd
}
