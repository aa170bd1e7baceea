namespace Qanat.Gateway;

/// <summary>How a model is asked for vectors and scores.</summary>
/// <param name="Dimensions">Numbers of a vector.</param>
/// <param name="Document">The prompt of a text.</param>
/// <param name="Query">The prompt of a query, of its task and its text.</param>
/// <param name="Yes">The token whose logit speaks for a document.</param>
/// <param name="No">The token whose logit speaks against it.</param>
/// <param name="Ranking">The prompt after which they are read, of instruction, query and document.</param>
public sealed record ReadModel(int Dimensions, Func<string, int[]> Document, Func<string, string, int[]> Query, int Yes, int No, Func<string, string, string, int[]> Ranking);
