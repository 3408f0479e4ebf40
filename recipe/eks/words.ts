/** What is said of `tuneup:aws` is said of `tuneup:eks`. */
export function eksWords(text: string): string {
  return text
    .replace(/\baws\.volume\.sizeGiB\b/g, "kubernetes.volume.size")
    .replace(/(?<![.\w/-])aws(?=\.[a-zA-Z])/g, "eks");
}
