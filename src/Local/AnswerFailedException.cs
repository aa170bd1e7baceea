namespace Qanat.Local;

/// <summary>A model failed while it answered: its numbers are no numbers, most likely. The message says how.</summary>
public sealed class AnswerFailedException(string message) : InvalidOperationException(message);
