namespace Qanat.Models;

/// <summary>The hyper-parameters of a decoder. HeadDim is read from the file, never derived from Hidden / Heads.</summary>
public sealed record ModelShape(string Architecture, int Layers, int Hidden, int FeedForward, int Heads, int KvHeads, int HeadDim, int Vocabulary, int ContextLength, float RmsEpsilon, float RopeTheta, bool TiedEmbeddings);
